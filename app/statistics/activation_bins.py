"""Fixed bins of activation, and the five intervals of (0, max] with edges snapped to them.

A bin is a float32's exponent and its two leading mantissa bits: 4 bins per octave, with edges 1, 1.25, 1.5 and
1.75 times a power of two. They cover every float32, so no activation is ever clamped.
"""

from dataclasses import dataclass

import numpy as np

from app.domain.records import N_INTERVALS, Histogram
from app.statistics.arrays import AnyArray, Floats, Floats32, Ints, Record, run_starts
from app.statistics.kept_tokens import activation_rank

BIN_SHIFT = 21  # 23 mantissa bits, two of which stay
N_BINS = 255 << 2
UNIT_BITS = 10  # a bin (and one more value) fits in the low bits of a (feature, bin) unit
MAX_FEATURES = 2**22


def _bin_edges() -> Floats:
    lower = (np.arange(N_BINS, dtype=np.int32) << BIN_SHIFT).view(np.float32)
    return np.append(lower.astype(np.float64), 2.0**128)


BIN_EDGES = _bin_edges()  # bin b is [BIN_EDGES[b], BIN_EDGES[b + 1])


def activation_bin(activation: Floats32) -> Ints:
    """The bin of each activation. Raises ValueError unless every one is positive and finite."""
    return activation_rank(activation) >> BIN_SHIFT


def interval_bins(max_activation: Floats32) -> Ints:
    """[..., 6]: the first bin of each interval, and one past the last bin of the last.

    Each edge is the bin edge nearest to its equal-width place, so it never falls as the maximum grows: bins
    once below an edge stay below it. An interval is empty only among float32's smallest numbers.
    """
    maximum = np.asarray(max_activation, dtype=np.float64)[..., None]
    last = np.searchsorted(BIN_EDGES, maximum, side="right") - 1
    exact = maximum * np.arange(N_INTERVALS) / N_INTERVALS
    below = np.searchsorted(BIN_EDGES, exact, side="right") - 1
    nearest = below + (exact >= (BIN_EDGES[below] + BIN_EDGES[below + 1]) / 2)
    return np.concatenate([np.minimum(nearest, last), last + (maximum > 0)], axis=-1).astype(np.int64)


def interval_edges(max_activation: float) -> Floats:
    """[6] the edges to print: 0, four bin edges, and the maximum itself.

    A token on an inner edge belongs to the interval above it; the maximum belongs to the last.
    """
    edges = BIN_EDGES[interval_bins(np.asarray(max_activation, dtype=np.float32))]
    edges[-1] = max_activation
    return edges


def interval_of_bin(activation_bins: AnyArray, max_activation: float) -> Ints:
    """Which of the five intervals each bin lies in."""
    inner = interval_bins(np.asarray(max_activation, dtype=np.float32))[1:N_INTERVALS]
    return np.searchsorted(inner, activation_bins, side="right").astype(np.int64)


@dataclass(frozen=True, eq=False)
class BinCounts(Record):
    """Number of active tokens per feature and bin. Only non-empty cells take memory."""

    unit: Ints  # [cells] feature << UNIT_BITS | bin, ascending
    n: Ints  # [cells]

    @classmethod
    def empty(cls) -> "BinCounts":
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))

    @classmethod
    def of(cls, feature: Ints, activation: Floats32) -> "BinCounts":
        unit = feature << UNIT_BITS | activation_bin(activation)
        return cls._summed(unit, np.ones(len(unit), dtype=np.int64))

    @classmethod
    def _summed(cls, unit: Ints, n: Ints) -> "BinCounts":
        order = np.argsort(unit)
        unit, n = unit[order], n[order]
        starts = run_starts(unit)
        return cls(unit[starts], np.add.reduceat(n, starts) if len(n) else n)

    def merge(self, other: "BinCounts") -> "BinCounts":
        return self._summed(np.concatenate([self.unit, other.unit]), np.concatenate([self.n, other.n]))

    def of_feature(self, feature: int) -> tuple[Ints, Ints]:
        """The feature's non-empty bins, ascending, and the tokens in each."""
        start, stop = np.searchsorted(self.unit, np.asarray([feature, feature + 1]) << UNIT_BITS)
        return self.unit[start:stop] & ((1 << UNIT_BITS) - 1), self.n[start:stop]

    def histogram(self, feature: int) -> Histogram:
        """Counts of the feature's bins, from the lowest non-empty one to the highest; none for a dead feature."""
        bins, n = self.of_feature(feature)
        if not len(bins):
            return Histogram(np.zeros(1), np.empty(0, dtype=np.int64))
        counts = np.zeros(bins[-1] - bins[0] + 1, dtype=np.int64)
        counts[bins - bins[0]] = n
        return Histogram(BIN_EDGES[bins[0] : bins[-1] + 2].copy(), counts)

    def interval_counts(self, feature: int, max_activation: float) -> Ints:
        """[5] active tokens in each interval of (0, max]: exact, since the edges are bin edges."""
        bins, n = self.of_feature(feature)
        counts = np.zeros(N_INTERVALS, dtype=np.int64)
        np.add.at(counts, interval_of_bin(bins, max_activation), n)
        return counts
