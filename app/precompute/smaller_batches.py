"""Smaller batches for a job whose device runs out of memory.

A row's last bits depend on the batch that it was computed in, so such a run is not the same to the byte as one in
whole batches. It says so in its report.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from app.adapters.devices import free_unused_memory, is_out_of_memory
from app.errors import AppError

T = TypeVar("T")


@dataclass
class BatchSize:
    """The number of sequences in a forward pass, which is halved when memory runs out."""

    sequences: int
    context_size: int
    device: str

    def halve(self) -> None:
        """Use half as many from now on. Raises AppError if one sequence is already too much."""
        if self.sequences == 1:
            raise AppError(
                f"out of memory on {self.device} with one sequence of {self.context_size} tokens; give a "
                "smaller --context-size, fewer --layers, or --dtype bfloat16"
            )
        self.sequences //= 2
        free_unused_memory()


def with_smaller_batches(size: BatchSize, compute: Callable[[], T]) -> T:
    """The result of `compute`, which reads the size; it is called again with half the size while memory runs out.

    Raises AppError where one sequence is too much.
    """
    while True:
        try:
            return compute()
        except RuntimeError as error:  # what the failed call holds is free once its error is gone
            if not is_out_of_memory(error):
                raise
        size.halve()
