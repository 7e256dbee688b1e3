"""Batches of a long experiment, with progress reports."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

Progress = Callable[[str, int, int], None]  # stage, done, total


def ignore(stage: str, done: int, total: int) -> None:
    """Ignore a progress report."""


@dataclass(frozen=True)
class Batching:
    """The number of rows in a batch, which changes results by rounding only, and a progress function."""

    size: int = 16
    progress: Progress = ignore

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a batch of {self.size} rows")

    def slices(self, n: int, stage: str) -> Iterator[slice]:
        """Slices that cover n rows; progress is reported after each."""
        for start in range(0, n, self.size):
            stop = min(start + self.size, n)
            yield slice(start, stop)
            self.progress(stage, stop, n)

    def as_one(self, stage: str, total: int) -> "Batching":
        """A batching whose batches are reported as one stage of `total` rows."""
        return replace(self, progress=_OneStage(self.progress, stage, total))


class _OneStage:
    def __init__(self, outer: Progress, stage: str, total: int) -> None:
        self._outer, self._stage, self._total = outer, stage, total
        self._before = 0  # rows of the parts that are over

    def __call__(self, _part: str, done: int, total: int) -> None:
        self._outer(self._stage, self._before + done, self._total)
        if done == total:
            self._before += total


PLAIN = Batching()
