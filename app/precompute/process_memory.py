"""The memory of a job's process: how much it took, and giving back what is free."""

import ctypes
import resource
import sys
from collections.abc import Callable
from typing import Any


def peak_memory_bytes() -> int:
    """Peak memory of this process or, if larger, of its largest finished worker."""
    unit = 1 if sys.platform == "darwin" else 1024
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) * unit


def give_back_free_memory() -> None:
    """Give memory that was freed back to the system; does nothing where the C library has no call for it.

    glibc keeps what many short-lived arrays left between longer-lived ones: of a statistics pass more than a gigabyte,
    on top of which the next stage would take its own.
    """
    trim: Callable[[int], Any] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
