"""Means and co-moments that merge by the pairwise update of Chan, Golub and LeVeque, closed over n = 0."""

from dataclasses import dataclass

import numpy as np

from app.statistics.arrays import AnyArray, Floats, Ints, Record, require_same, run_starts


def _weights(n_a: Ints, n_b: Ints) -> tuple[Floats, Floats]:
    """Share of b in the merged mean, and n_a n_b / (n_a + n_b); both 0 where there is nothing to mix."""
    share = np.asarray(n_b / np.maximum(n_a + n_b, 1))
    return share, np.asarray(n_a * share)


def _finite_float64(values: AnyArray, what: str) -> Floats:
    if not np.isfinite(values).all():
        raise ValueError(f"{what} holds a value that is not finite")
    return values.astype(np.float64)


@dataclass(frozen=True, eq=False)
class CoMoments(Record):
    """Mean and summed products of deviations of a vector. Covariance (population) = comoment / n."""

    n: Ints  # []
    mean: Floats  # [d]
    comoment: Floats  # [d d]

    @classmethod
    def empty(cls, d: int) -> "CoMoments":
        return cls(np.zeros((), dtype=np.int64), np.zeros(d), np.zeros((d, d)))

    @classmethod
    def of(cls, x: AnyArray) -> "CoMoments":
        """Moments of x, [tokens d], by two passes in float64. Raises ValueError on a value that is not finite."""
        if not len(x):
            return cls.empty(x.shape[1])
        values = _finite_float64(x, "a second moment's input")
        mean = values.mean(axis=0)
        values -= mean
        return cls(np.asarray(len(x), dtype=np.int64), mean, values.T @ values)

    def merge(self, other: "CoMoments") -> "CoMoments":
        require_same("width", self.mean.shape, other.mean.shape)
        share, weight = _weights(self.n, other.n)
        delta = other.mean - self.mean
        comoment = self.comoment + other.comoment
        comoment += np.outer(delta, delta) * weight
        return CoMoments(np.asarray(self.n + other.n), self.mean + delta * share, comoment)

    def total_variance(self) -> float:
        """Summed squared distance of the vectors from their mean (not divided by n)."""
        return float(np.trace(self.comoment))


@dataclass(frozen=True, eq=False)
class GroupedCoMoments(Record):
    """Per group (feature): moments of a vector c (head contributions) and a scalar p over its tokens.

    m2 and co are sums over tokens of products of deviations: Var(p) = m2_p / n, Cov(c_h, p) = co_cp / n.
    """

    n: Ints  # [groups]
    mean_c: Floats  # [groups heads]
    m2_c: Floats  # [groups heads]
    mean_p: Floats  # [groups]
    m2_p: Floats  # [groups]
    co_cp: Floats  # [groups heads]

    @classmethod
    def empty(cls, n_groups: int, n_heads: int) -> "GroupedCoMoments":
        n, scalar, vector = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups), (n_groups, n_heads)
        return cls(n, np.zeros(vector), np.zeros(vector), scalar, scalar.copy(), np.zeros(vector))

    @classmethod
    def of(cls, group: Ints, c: AnyArray, p: AnyArray, n_groups: int) -> "GroupedCoMoments":
        """Moments of c [pairs heads] and p [pairs] by ascending group [pairs]. Raises ValueError on NaN or infinity."""
        moments = cls.empty(n_groups, c.shape[1])
        if not len(group):
            return moments
        values_c, values_p = _finite_float64(c, "a contribution"), _finite_float64(p, "a pre-activation")
        starts = run_starts(group)
        present, n = group[starts], np.diff(starts, append=len(group))
        mean_c = np.add.reduceat(values_c, starts, axis=0) / n[:, None]
        mean_p = np.add.reduceat(values_p, starts) / n
        values_c -= np.repeat(mean_c, n, axis=0)
        values_p -= np.repeat(mean_p, n)
        moments.n[present], moments.mean_c[present], moments.mean_p[present] = n, mean_c, mean_p
        moments.m2_p[present] = np.add.reduceat(values_p**2, starts)
        moments.co_cp[present] = np.add.reduceat(values_c * values_p[:, None], starts, axis=0)
        moments.m2_c[present] = np.add.reduceat(values_c**2, starts, axis=0)
        return moments

    def merge(self, other: "GroupedCoMoments") -> "GroupedCoMoments":
        require_same("shape", self.mean_c.shape, other.mean_c.shape)
        share, weight = _weights(self.n, other.n)
        delta_c, delta_p = other.mean_c - self.mean_c, other.mean_p - self.mean_p
        return GroupedCoMoments(
            n=self.n + other.n,
            mean_c=self.mean_c + delta_c * share[:, None],
            m2_c=self.m2_c + other.m2_c + delta_c**2 * weight[:, None],
            mean_p=self.mean_p + delta_p * share,
            m2_p=self.m2_p + other.m2_p + delta_p**2 * weight,
            co_cp=self.co_cp + other.co_cp + delta_c * (delta_p * weight)[:, None],
        )
