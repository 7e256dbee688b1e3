"""Hooks that last as long as their `with`, and norms of plain models as linear maps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def before(module: nn.Module, see: Callable[[tuple[Any, ...]], Any]) -> Iterator[None]:
    """`see` gets what a module reads, its first tensor first; what it returns is read in place of that tensor."""

    def run(_module: Any, args: Any, kwargs: Any) -> Any:
        instead = see(_tensors(args, kwargs))
        if instead is None:
            return None
        if args:
            return (instead, *args[1:]), kwargs
        first = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
        return args, {**kwargs, first: instead}

    handle = module.register_forward_pre_hook(run, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def after(module: nn.Module, see: Callable[[Tensor, Any], Any]) -> Iterator[None]:
    """`see` gets the first tensor that a module reads, and what it gives; what it returns is given instead."""

    def run(_module: Any, args: Any, kwargs: Any, out: Any) -> Any:
        return see(_tensors(args, kwargs)[0], out)

    handle = module.register_forward_hook(run, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def _tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)) or (None,)


def is_norm(module: nn.Module) -> bool:
    name = type(module).__name__
    return "Norm" in name and "Gated" not in name and not list(module.children())


def centres(norm: nn.Module, x: Tensor) -> bool:
    """Whether a norm takes the mean out: then a constant added to what it reads changes nothing."""
    with torch.no_grad():
        return torch.allclose(norm.forward(x), norm.forward(x + x.std()), atol=1e-2, rtol=1e-2)


def scale_of(norm: nn.Module, x: Tensor) -> Tensor:
    """What a norm divides each vector by."""
    x = x - x.mean(-1, keepdim=True) if centres(norm, x) else x
    eps = next((value for name in ("eps", "variance_epsilon") if (value := getattr(norm, name, None))), 0.0)
    return (x.square().mean(-1, keepdim=True) + eps).sqrt()


def at_scale(norm: nn.Module, x: Tensor, out: Tensor, scale: Tensor) -> Tensor:
    """What a norm gives of x, where it gives `out`, had it divided by another scale."""
    bias = norm.forward(torch.zeros_like(x.reshape(-1, x.shape[-1])[:1])).reshape(-1)
    return (out - bias) * (scale_of(norm, x) / scale) + bias
