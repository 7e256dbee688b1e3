"""The groups in which the kept tokens of a unit are shown: the strongest, and a sample of each interval."""

from dataclasses import dataclass

from app.domain.records import N_INTERVALS
from app.statistics.activation_bins import BinCounts, interval_edges
from app.statistics.activation_sample import ActivationSample
from app.statistics.arrays import Ints
from app.statistics.kept_tokens import TopTokens


@dataclass(frozen=True)
class TokenGroup:
    """The top tokens of a unit (a feature, a head), best first, or a uniform sample of one interval of its values.

    Of `n_tokens` tokens with a value in [lower, upper), these were kept, no two of the same text; the last interval
    and the top include their upper end.
    """

    name: str
    lower: float
    upper: float
    n_tokens: int
    kept: TopTokens

    @property
    def token_index(self) -> Ints:
        return self.kept.token_index


def token_groups(
    unit: int, top: TopTokens, sample: ActivationSample, histogram: BinCounts
) -> tuple[TokenGroup, ...]:
    """The top tokens of a unit, then its intervals from the highest down. None for a unit without tokens."""
    best = top.of_unit(unit)
    if not len(best.key):
        return ()
    maximum = float(sample.max_activation[unit])
    edges, counts = interval_edges(maximum), histogram.interval_counts(unit, maximum)
    samples = sample.samples(unit)
    strongest = TokenGroup("top", float(best.activation[-1]), maximum, len(best.key), best)
    intervals = [
        TokenGroup(f"interval {i + 1}", float(edges[i]), float(edges[i + 1]), int(counts[i]), samples[i])
        for i in reversed(range(N_INTERVALS))
    ]
    return (strongest, *intervals)
