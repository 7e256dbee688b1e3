"""Products of float32 matrices by oneDNN, a library that torch brings along, on processors with AVX-512.

Torch has them made by MKL, which leaves half of the wide vector units idle on processors that are not its maker's: of
2,048 x 576 by 576 x 1,536 one core of an AMD EPYC made 108 thousand million operations a second by MKL, and 244 by
oneDNN. Both round to float32; they add up in another order.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import linear as library_linear

_FEWEST = 2**20  # multiplications: of fewer, a call of oneDNN takes longer than MKL's
_ROWS_WORTH_A_COPY = 256  # of x: a weight is copied in the time of some forty of them


def product(
    x: Float[Tensor, "row k"], w: Float[Tensor, "k column"], bias: Float[Tensor, " column"] | None = None
) -> Float[Tensor, "row column"]:
    """x @ w, plus a bias of each column, in their number format. Raises RuntimeError where shapes do not fit."""
    return linear(x, w.T, bias)


def linear(
    x: Float[Tensor, "*batch k"],
    weight: Float[Tensor, "column k"],
    bias: Float[Tensor, " column"] | None = None,
) -> Float[Tensor, "*batch column"]:
    """As torch.nn.functional.linear: x @ weight.T, plus a bias of each column."""
    if _is_for_onednn(x, weight, bias):
        return torch.ops.mkldnn._linear_pointwise(x, _made_whole(weight), bias, "none", [], "")
    return library_linear(x, weight, bias)


@cache
def has_wide_vectors() -> bool:
    """Whether oneDNN makes large products here: torch has it, and the processor has AVX-512."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _is_for_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    given = [each for each in (x, weight, bias) if each is not None]
    return (
        has_wide_vectors()
        and all(_is_plain(each) for each in given)
        and weight.ndim == 2
        and x.shape[-1:] == weight.shape[1:]
        and (bias is None or bias.shape == weight.shape[:1])
        and x.numel() * len(weight) >= _FEWEST
        and (_is_whole(weight) or x.shape[:-1].numel() >= _ROWS_WORTH_A_COPY)
        and not (torch.is_grad_enabled() and any(each.requires_grad for each in given))
    )


def _is_plain(tensor: Tensor) -> bool:
    """Whether it holds float32 in the memory of the CPU, and is not of a class with products of its own."""
    return (
        tensor.dtype == torch.float32
        and tensor.device.type == "cpu"
        and type(tensor) in (Tensor, torch.nn.Parameter)
    )


def _is_whole(weight: Tensor) -> bool:
    """Whether it is a matrix without gaps: with a part of a larger one oneDNN takes a thousand times as long."""
    return weight.is_contiguous() or weight.T.is_contiguous()


def _made_whole(weight: Tensor) -> Tensor:
    """The matrix itself, or a copy without gaps: of GPT-2's queries, keys and values, which are parts of one."""
    if _is_whole(weight):
        return weight
    return weight.T.contiguous().T if weight.stride(0) == 1 else weight.contiguous()
