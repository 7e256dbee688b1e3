"""The simplest mergeable statistics: counts, totals, means, and the set of shards counted."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from app.statistics.arrays import Floats, Ints, Record, require_same


class OverlappingShards(ValueError):
    """Some shard is in both partials and would be counted twice."""


@dataclass(frozen=True, eq=False)
class Count(Record):
    """An elementwise number of things."""

    total: Ints

    @classmethod
    def of(cls, values: ArrayLike) -> "Count":
        """A count of these values. Raises TypeError when they are not whole numbers."""
        return cls(np.asarray(np.asarray(values).astype(np.int64, casting="safe")))

    @classmethod
    def zeros(cls, *shape: int) -> "Count":
        return cls(np.zeros(shape, dtype=np.int64))

    def merge(self, other: "Count") -> "Count":
        require_same("shape", self.total.shape, other.total.shape)
        return Count(np.asarray(self.total + other.total))


@dataclass(frozen=True, eq=False)
class Total(Record):
    """An elementwise sum, in float64."""

    total: Floats

    @classmethod
    def of(cls, values: ArrayLike) -> "Total":
        """A total of these values. Raises ValueError on NaN or infinity, which would spread to every later total."""
        total = np.asarray(values, dtype=np.float64)
        if not np.isfinite(total).all():
            raise ValueError("a total must be finite")
        return cls(total)

    @classmethod
    def zeros(cls, *shape: int) -> "Total":
        return cls(np.zeros(shape))

    def merge(self, other: "Total") -> "Total":
        require_same("shape", self.total.shape, other.total.shape)
        return Total(np.asarray(self.total + other.total))


@dataclass(frozen=True, eq=False)
class Mean(Record):
    """An elementwise mean over n things, kept as their total so that it stays mergeable."""

    total: Total
    n: Count

    @classmethod
    def zeros(cls, *shape: int) -> "Mean":
        return cls(Total.zeros(*shape), Count.zeros())

    def merge(self, other: "Mean") -> "Mean":
        return Mean(self.total.merge(other.total), self.n.merge(other.n))

    def value(self) -> Floats:
        """The mean. Raises ValueError when nothing was counted, for then there is none."""
        if not self.n.total:
            raise ValueError("the mean of nothing")
        return np.asarray(self.total.total / self.n.total)


@dataclass(frozen=True, eq=False)
class Shards(Record):
    """Ids of the corpus shards counted so far, ascending. Merging refuses an overlap."""

    ids: Ints

    @classmethod
    def of(cls, *ids: int) -> "Shards":
        return cls(np.unique(np.asarray(ids, dtype=np.int64)))

    def merge(self, other: "Shards") -> "Shards":
        if both := sorted(set(self) & set(other)):
            raise OverlappingShards(f"counted twice: shard {', '.join(map(str, both))}")
        return Shards.of(*self, *other)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.tolist())

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, shard: int) -> bool:
        return shard in self.ids
