"""Going on in smaller batches where the device runs out of memory.

A row's last bits depend on the batch that it was computed in, so such a run is not the same to the byte as one in
whole batches. It says so in its report.
"""

from collections.abc import Callable
from typing import TypeVar

import torch

from app.precompute.loaded_run import LoadedRun

T = TypeVar("T")


def with_smaller_batches(run: LoadedRun, compute: Callable[[], T]) -> T:
    """What `compute` returns; it is called again with half the run's batch size while memory runs out.

    Raises AppError where one sequence is too much.
    """
    while True:
        try:
            return compute()
        except torch.OutOfMemoryError:
            pass  # what the failed call holds is free once its error is gone
        run.halve_batch()
