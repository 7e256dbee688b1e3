"""Forward passes of models of transformers: without gradients, and by the quickest products."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from app.attribution.products import linear, product


@contextmanager
def forward_pass() -> Iterator[None]:
    """Within it models compute without gradients, and products with weights by `app.attribution.products`."""
    with torch.inference_mode(), _QuickProducts():
        yield


class _QuickProducts(TorchFunctionMode):
    """Takes over what layers call for products with their weights: `linear`, and `addmm` of models like GPT-2."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if not kwargs:
            if func is torch.nn.functional.linear:
                return linear(*args)
            if func is torch.addmm:
                bias, x, weight = args
                return product(x, weight, bias) if bias.ndim == 1 else func(*args)
        return func(*args, **(kwargs or {}))
