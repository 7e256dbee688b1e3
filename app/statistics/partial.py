"""A partial: a frozen record of mergeable leaves over some shards of the corpus."""

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from app.statistics.arrays import Record
from app.statistics.leaves import Shards

PartialT = TypeVar("PartialT", bound="Partial")


class IncompatiblePartials(ValueError):
    """The two partials are of different kinds or were made under different plans."""


@dataclass(frozen=True, eq=False)
class Partial(Record):
    """Base of all partials. Every field but the plan is a leaf with a merge of its own.

    A statistic is declared once, as a field: merging, saving and loading are derived from the fields.
    """

    plan: str  # fingerprint of the run plan
    shards: Shards

    def merge(self: PartialT, other: PartialT) -> PartialT:
        """The partial over the shards of both.

        Raises IncompatiblePartials, OverlappingShards, or ValueError on leaves of another shape.
        """
        if type(self) is not type(other):
            raise IncompatiblePartials(f"a {type(self).__name__} and a {type(other).__name__}")
        if self.plan != other.plan:
            raise IncompatiblePartials(f"plans {self.plan!r} and {other.plan!r}")
        merged: dict[str, Any] = {
            f.name: getattr(self, f.name).merge(getattr(other, f.name))
            for f in fields(self)
            if f.name != "plan"
        }
        return replace(self, **merged).normalise()

    def normalise(self: PartialT) -> PartialT:
        """Drop what no leaf needs any more. Called after every merge; must be idempotent."""
        return self
