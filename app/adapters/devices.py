"""The device that a model runs on: the one asked for, or the best that torch can use here."""

import torch

from app.domain.options import AUTO
from app.errors import AppError


def choose_device(asked: str) -> str:
    """The device to run on. Raises AppError for one that torch does not know or that this machine lacks."""
    if asked == AUTO:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=torch.device(asked))
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # AssertionError: torch was built without the device's library
        cause = " ".join(str(error).split(".")[0].split())[:120]
        raise AppError(f"--device {asked} cannot be used on this machine: {cause}") from error
    return asked


def describe_device(device: str) -> str:
    """The device with the name of the accelerator that it is."""
    is_cuda = torch.device(device).type == "cuda"
    return f"{device} ({torch.cuda.get_device_name(device)})" if is_cuda else device


def take_own_gpu(device: str, place: int) -> None:
    """Let `cuda` mean a GPU of its own for the worker at this place among a machine's, as far as there are so many.

    A GPU that is named by its number (`cuda:1`) is used by all workers, as is the only one of a machine.
    """
    if device == "cuda":
        torch.cuda.set_device(place % torch.cuda.device_count())
