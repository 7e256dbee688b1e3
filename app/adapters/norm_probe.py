"""What a norm module computes, found by running it: weights that multiply, centring, epsilon.

Modules store their weight as it is, less one, or not at all, and configurations name epsilons in many ways; what a
module does to a few vectors is the same everywhere.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from app.attribution.float64 import widened
from app.attribution.norms import FrozenNorm

_SCALES = (1.0, 1e-2)  # the smaller one shows the epsilon
_N_VECTORS = 4


def describe_norm(
    module: Callable[[Tensor], Any], d_model: int, dtype: torch.dtype, device: torch.device
) -> FrozenNorm | None:
    """The norm that a module is; None where it is neither a LayerNorm nor an RMSNorm of d_model values."""
    generator = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(_N_VECTORS, d_model, generator=generator) * scale for scale in _SCALES])
    x = (x + 0.3 * x.abs().mean(dim=1, keepdim=True)).to(device, dtype)  # a mean, which centring would remove
    with torch.inference_mode():
        up, down = (_call(module, sign * x[None]) for sign in (1, -1))
    if up is None or down is None:
        return None
    odd, bias = widened(up - down)[0] / 2, widened(up + down)[0].mean(dim=0) / 2
    best, error = None, torch.inf
    for norm in _candidates(module, bias, d_model):
        missed = norm.linear(widened(x)) * norm.scale(widened(x)) - odd
        size = float(missed.norm(dim=1).max() / odd.norm(dim=1).min().clamp(min=1e-30))
        if size < error:
            best, error = norm, size
    return _in_float32(best, device) if best is not None and error <= 8 * torch.finfo(dtype).eps else None


def _call(module: Callable[[Tensor], Any], x: Float[Tensor, "1 n d_model"]) -> Tensor | None:
    try:
        out = module(x)
    except (TypeError, RuntimeError, ValueError, AttributeError):
        return None  # a module that takes something else than one tensor is no norm
    return out if isinstance(out, Tensor) and out.shape == x.shape else None


def _candidates(module: Any, bias: Tensor, d_model: int) -> Iterator[FrozenNorm]:
    inner = getattr(module, "original_component", None) or module
    stored = next((w for each in (inner, module) if _fits(w := getattr(each, "weight", None), d_model)), None)
    ones = torch.ones(d_model, dtype=torch.float64, device=bias.device)
    weights = [ones] if stored is None else [widened(stored.detach()), 1 + widened(stored.detach()), ones]
    own = getattr(inner, "bias", None)
    if (
        isinstance(own, Tensor)
        and _fits(own, d_model)
        and float((widened(own.detach()) - bias).norm()) <= 1e-2 * float(bias.norm())
    ):
        bias = widened(own.detach())  # as it is stored, without the rounding of the probe
    elif float(bias.norm()) <= 1e-3 * d_model**0.5 * torch.finfo(torch.float32).eps:
        bias = torch.zeros_like(bias)
    for weight, eps, centre in product(weights, _epsilons(inner, module), (False, True)):
        yield FrozenNorm(weight, bias, eps, centre)


def _fits(weight: Any, d_model: int) -> bool:
    return isinstance(weight, Tensor) and weight.shape == (d_model,)


def _epsilons(*modules: Any) -> list[float]:
    stored = [
        float(value)
        for module in modules
        for name, value in {**vars(module), "eps": getattr(module, "eps", None)}.items()
        if "eps" in name and isinstance(value, float)
    ]
    config = getattr(modules[-1], "config", None)
    if isinstance(named := getattr(config, "eps", None), float):
        stored.append(named)
    return list(dict.fromkeys([*stored, 1e-5, 1e-6, 1e-8, 1e-12, torch.finfo(torch.float32).eps, 0.0]))


def _in_float32(norm: FrozenNorm, device: torch.device) -> FrozenNorm:
    weight, bias = (part.float().to(device) for part in (norm.weight, norm.bias))
    return FrozenNorm(weight, bias, norm.eps, norm.centre)
