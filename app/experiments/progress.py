"""How a long experiment walks through batches, and says how far it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

Progress = Callable[[str, int, int], None]  # stage, done, total


def ignore(stage: str, done: int, total: int) -> None:
    """For callers who do not care."""


@dataclass(frozen=True)
class Batching:
    """Rows a batch, which changes no result beyond rounding, and who is told of each batch."""

    size: int = 16
    progress: Progress = ignore

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a batch of {self.size} rows")

    def slices(self, n: int, stage: str) -> Iterator[slice]:
        """Slices that cover n rows; progress is told after each."""
        for start in range(0, n, self.size):
            stop = min(start + self.size, n)
            yield slice(start, stop)
            self.progress(stage, stop, n)

    def as_one(self, stage: str, total: int) -> "Batching":
        """The same batches, told of as parts of one stage of `total` rows."""
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
