"""Bootstrap confidence intervals, of independent units and of units in clusters; numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate and its percentile bootstrap interval. n: the units behind it."""

    mean: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Resampling:
    """Settings of the bootstrap. The same seed gives the same resamples, so estimates of one n are paired."""

    n_resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_resamples < 1 or not 0 < self.confidence < 1:
            raise ValueError(f"{self.n_resamples} resamples at confidence {self.confidence}")

    def weights(self, n: int) -> Floats:
        """How often each of n units is drawn in each resample, [n_resamples n]; rows sum to n."""
        generator = np.random.default_rng(self.seed)
        return generator.multinomial(n, np.full(n, 1 / n), size=self.n_resamples).astype(np.float64)

    def interval(self, estimate: float, resampled: Floats, n: int) -> Interval:
        """Percentiles of resampled estimates; those that do not exist (0/0) are left out."""
        finite = resampled[np.isfinite(resampled)]
        tail = 50 * (1 - self.confidence)
        lower, upper = np.percentile(finite, [tail, 100 - tail]) if len(finite) else (estimate, estimate)
        return Interval(float(estimate), float(lower), float(upper), n)


def mean_interval(
    values: Floats, resampling: Resampling, cluster: NDArray[np.integer] | None = None
) -> Interval | None:
    """The mean of values [n]; whole clusters are resampled where given. None for no values."""
    return ratio_interval(values, np.ones(len(values)), resampling, cluster)


def ratio_interval(
    above: Floats, below: Floats, resampling: Resampling, cluster: NDArray[np.integer] | None = None
) -> Interval | None:
    """sum(above) / sum(below) over units [n]; None where there is none or it does not exist."""
    n = len(above)
    if cluster is not None:
        _, group = np.unique(cluster, return_inverse=True)
        above = np.bincount(group, weights=above).astype(np.float64)
        below = np.bincount(group, weights=below).astype(np.float64)
    if n == 0 or below.sum() == 0:
        return None
    drawn = resampling.weights(len(above))
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = (drawn @ above) / (drawn @ below)
    return resampling.interval(float(above.sum() / below.sum()), resampled, n)
