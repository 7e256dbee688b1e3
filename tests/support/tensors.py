"""Tensors that may differ by rounding."""

import torch
from torch import Tensor


def assert_near(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    """Fails where the tensors differ by more than the tolerance, absolute and relative."""
    torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)
