"""The device that a model runs on: the one asked for, or the best that torch can use here."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from app.attribution.float64 import float64_device
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
    """The device with the name of the accelerator that it is, and where float64 is computed if not there."""
    if torch.device(device).type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    has_float64 = float64_device(device) == torch.device(device)
    return device if has_float64 else f"{device} (float64 sums on the CPU)"


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device ran out of memory; for MPS torch has no class of this error."""
    return isinstance(error, torch.OutOfMemoryError) or str(error).startswith("MPS backend out of memory")


@contextmanager
def unless_out_of_memory() -> Iterator[None]:
    """Go on after the block, if a device runs out of memory in it."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise


def free_unused_memory() -> None:
    """Give back what torch keeps of accelerators' memory for later tensors."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def take_own_gpu(device: str, place: int) -> None:
    """Let `cuda` mean a GPU of its own for the worker at this place among a machine's, as far as there are so many.

    A GPU that is named by its number (`cuda:1`) is used by all workers, as is the only one of a machine.
    """
    if device == "cuda":
        torch.cuda.set_device(place % torch.cuda.device_count())
