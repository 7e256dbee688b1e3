"""A loaded model that computes in float32 for a while, with the very weights that it has in another format."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def float32_weights(module: nn.Module) -> Iterator[None]:
    """Let all weights and tables of a module be float32 meanwhile; those that it has come back as they were.

    Hooks and the modules themselves stay, so that what is computed is the same but for rounding.
    """
    narrow = [t for t in _tensors(module) if t.is_floating_point() and t.dtype != torch.float32]
    kept = [tensor.data for tensor in narrow]
    try:
        for tensor in narrow:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor, data in zip(narrow, kept, strict=True):
            tensor.data = data


def _tensors(module: nn.Module) -> list[Tensor]:
    """Every tensor once: parameters, buffers, and folded weights that TransformerLens has as plain attributes."""
    plain = [v for m in module.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    return list({id(t): t for t in (*module.parameters(), *module.buffers(), *plain)}.values())
