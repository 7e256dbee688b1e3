"""SAE weights in 8 bits: whole numbers with a scale for each feature, and the floats that they stand for.

Only the two matrices are stored so. A feature's encoder column and decoder row have a scale each, so that a feature
with small weights loses no more of them than one with large weights. Biases and thresholds stay floats.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from app.adapters.sae_config import INT8_ROWS, SaeConfig
from app.adapters.sae_sources import one_line
from app.errors import InvalidSae

SCALE_SUFFIX = "_scale"
_LARGEST = 127  # -128 is never written, so that a row and its negative are stored alike
_FEATURE_DIMENSION = {"W_enc": 1, "W_dec": 0}
_MATRIX = 2
_LARGEST_SCALE = torch.finfo(torch.float32).max / _LARGEST * (1 - 1e-6)  # so that the product is finite
_SMALLEST_ROW = _LARGEST * torch.finfo(torch.float32).tiny  # below it a scale would lose its own precision


def quantise(rows: Float[Tensor, "row column"]) -> tuple[Int8[Tensor, "row column"], Float[Tensor, " row"]]:
    """Rows in 8 bits, and the scale of each. No number is off by more than half its row's scale.

    A row of zeros has the scale 1. Raises ValueError for numbers that are not finite in float32.
    """
    rows = rows.float()
    if not rows.isfinite().all():
        raise ValueError("numbers that are not finite in float32 have no form in 8 bits")
    largest = rows.abs().amax(dim=1)
    scale = (largest / _LARGEST).clamp(max=_LARGEST_SCALE)
    scale = torch.where(largest < _SMALLEST_ROW, torch.ones_like(scale), scale)
    return (rows / scale[:, None]).round().clamp(-_LARGEST, _LARGEST).to(torch.int8), scale


def dequantise(rows: Int8[Tensor, "row column"], scale: Float[Tensor, " row"]) -> Float[Tensor, "row column"]:
    """The floats that quantised rows stand for."""
    return rows.float() * scale.float()[:, None]


def to_int8_rows(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An SAE's weights as they are stored in 8 bits."""
    stored = dict(weights)
    for name, dimension in _FEATURE_DIMENSION.items():
        rows, scale = quantise(weights[name].movedim(dimension, 0))
        stored |= {name: rows.movedim(0, dimension).contiguous(), name + SCALE_SUFFIX: scale}
    return stored


def as_floats(config: SaeConfig, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights that the stored tensors stand for. Raises InvalidSae where they do not fit the config."""
    weights = dict(tensors)
    if config.storage == INT8_ROWS:
        for name, dimension in _FEATURE_DIMENSION.items():
            if name in weights:  # one that is not there is named with all that the architecture needs
                scale = _checked_scale(config, name, weights[name], weights.pop(name + SCALE_SUFFIX, None))
                rows = weights[name].movedim(dimension, 0)
                weights[name] = dequantise(rows, scale).movedim(0, dimension).contiguous()
    if whole := [name for name, tensor in weights.items() if not tensor.is_floating_point()]:
        raise _error(
            config, f"tensor {one_line(whole[0])} holds 8-bit numbers, which its config does not promise"
        )
    return weights


def _checked_scale(config: SaeConfig, name: str, rows: Tensor, scale: Tensor | None) -> Tensor:
    if rows.dtype != torch.int8:
        raise _error(config, f"its config promises 8-bit rows, and tensor {name} holds {rows.dtype}")
    if scale is None:
        raise _error(config, f"tensor {name} holds 8-bit rows, and there is no {name}{SCALE_SUFFIX}")
    if rows.ndim != _MATRIX or scale.shape != (rows.shape[_FEATURE_DIMENSION[name]],):
        shapes = f"{tuple(scale.shape)}, and {name} has {tuple(rows.shape)}"
        raise _error(config, f"tensor {name}{SCALE_SUFFIX} has shape {shapes}")
    if not scale.is_floating_point() or not (scale.isfinite() & (scale > 0)).all():
        raise _error(config, f"tensor {name}{SCALE_SUFFIX} holds numbers that are not positive and finite")
    return scale


def _error(config: SaeConfig, problem: str) -> InvalidSae:
    return InvalidSae(f"SAE {config.name} cannot be used: {problem}")
