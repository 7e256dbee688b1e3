"""Limits of time that mean the same on a slow or busy machine: those of the reference, times how slow this one is."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOPS = 200_000
REFERENCE_S = 0.02  # what the loops take on one idle core of the reference
# So many may stay in memory that nothing needs any more, beside those that live as long as the run.
MANY_OBJECTS = 300_000


def slowness(clock: Callable[[], float] = time.process_time) -> float:
    """Times as long as the reference this machine takes now, at least 1."""
    began = clock()
    for i in range(LOOPS):
        i * i % 7
    return max(1.0, (clock() - began) / REFERENCE_S)


@contextmanager
def less_than(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Fails if the block takes `seconds` or more of the clock, on a machine as fast as the reference.

    Objects of other tests are kept out of its garbage collection, which would look through all of them.
    """
    _keep_out_what_there_is()
    before = slowness(clock)
    began = clock()
    yield
    took = clock() - began
    slower = max(before, slowness(clock))
    assert took < seconds * slower, f"{took:.2f} s, on a machine {slower:.1f} times as slow"


def _keep_out_what_there_is() -> None:
    """Freeze all objects. To look through those of the whole run takes half a second, so it is not done each time."""
    gc.collect()
    gc.freeze()
    if gc.get_freeze_count() > _looked_through[-1] + MANY_OBJECTS:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _looked_through.append(gc.get_freeze_count())


_looked_through = [0]
