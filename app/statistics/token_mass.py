"""Sums by token id and head. Only tokens that occurred take memory."""

from dataclasses import dataclass

import numpy as np

from app.statistics.arrays import AnyArray, Floats, Ints, Record, require_same, run_starts


@dataclass(frozen=True, eq=False)
class TokenMass(Record):
    """For each token id that occurred: by head, how often it counted and how much attention went with it."""

    token: Ints  # [tokens] ascending
    n: Ints  # [tokens heads]
    mass: Floats  # [tokens heads]

    @classmethod
    def empty(cls, n_heads: int) -> "TokenMass":
        shape = (0, n_heads)
        return cls(np.empty(0, dtype=np.int64), np.empty(shape, dtype=np.int64), np.empty(shape))

    @classmethod
    def of(cls, token: Ints, n: AnyArray, mass: AnyArray) -> "TokenMass":
        """token: [rows], in any order and repeated; n, mass: [rows heads]. Raises ValueError on NaN or infinity."""
        if not len(token) == len(n) == len(mass):
            raise ValueError("the columns of a token mass differ in length")
        values = mass.astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError("a token's attention must be finite")
        order = np.argsort(token, kind="stable")
        ordered = token[order].astype(np.int64)
        starts = run_starts(ordered)
        if not len(ordered):
            return cls(ordered, n.astype(np.int64), values)
        counts = np.add.reduceat(n[order].astype(np.int64), starts, axis=0)
        return cls(ordered[starts], counts, np.add.reduceat(values[order], starts, axis=0))

    def merge(self, other: "TokenMass") -> "TokenMass":
        require_same("heads", self.n.shape[1], other.n.shape[1])
        return TokenMass.of(
            np.concatenate([self.token, other.token]),
            np.concatenate([self.n, other.n]),
            np.concatenate([self.mass, other.mass]),
        )
