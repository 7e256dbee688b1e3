"""Where float64 is computed: on the device, or on the host where the device has none, as Apple's GPUs (MPS)."""

import torch
from torch import Tensor


def float64_device(device: torch.device | str) -> torch.device:
    """The device itself, or the host for one without float64."""
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


def beside_float64(x: Tensor) -> Tensor:
    """The tensor as it is, where float64 can be computed from it."""
    return x.to(float64_device(x.device))


def widened(x: Tensor) -> Tensor:
    """The tensor in float64."""
    return beside_float64(x).double()
