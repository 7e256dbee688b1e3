"""The rule by which a head counts as long-prefix, standard or neither, from bootstrap intervals.

Let s(n) be the mean attention at prefix length n, and g(n) = s(n) - s(0) its gain. Then long_gain is the mean
of g(n) over n >= 2, one_share = g(1) / long_gain, and kept is the attention after corruption over the
attention before it.

1. neither: the lower end of long_gain is below min_gain.
2. long-prefix: the upper ends of one_share and, if it is known, of kept are below max_one_share.
3. standard: the lower ends of one_share and, if it is known, of kept are at least max_one_share.
4. neither: everything else, as the intervals are too wide or the two kinds of evidence disagree.

kept is known if there are min_examples natural examples and the head attends to them: the lower end of its
attention before corruption is at least min_gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.experiments.intervals import Interval, Resampling, mean_interval, ratio_interval
from app.domain.experiments.long_prefix import Kind, Verdict, VerdictRule

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HeadEvidence:
    """One head's measurements.

    by_prefix: attention [example, prefix length from 0]. before, after: attention on natural examples [n],
    before and after corruption.
    """

    by_prefix: Floats
    before: Floats
    after: Floats
    sequence: NDArray[np.int64]  # of each natural example

    def shuffled(self, generator: np.random.Generator) -> "HeadEvidence":
        """A control without any effect of prefix length: the same values, with labels shuffled within each example."""
        swap = generator.random(len(self.before)) < 0.5
        return HeadEvidence(
            generator.permuted(self.by_prefix, axis=1),
            np.where(swap, self.after, self.before),
            np.where(swap, self.before, self.after),
            self.sequence,
        )


def judge(evidence: HeadEvidence, rule: VerdictRule, resampling: Resampling) -> Verdict:
    """The verdict on one head, by the rule of this module."""
    n = len(evidence.by_prefix)
    gains = evidence.by_prefix[:, 1:] - evidence.by_prefix[:, :1]
    gain_at_one = gains[:, 0]
    gain_at_more = gains[:, 1:].mean(axis=1) if gains.shape[1] > 1 else gain_at_one
    drawn = resampling.weights(n) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        share = gain_at_one.mean() / gain_at_more.mean()
        resampled = (drawn @ gain_at_one) / (drawn @ gain_at_more)
    one_gain = resampling.interval(gain_at_one.mean(), drawn @ gain_at_one, n)
    long_gain = resampling.interval(gain_at_more.mean(), drawn @ gain_at_more, n)
    one_share = resampling.interval(share if np.isfinite(share) else 0.0, resampled, n)
    before = mean_interval(evidence.before, resampling, evidence.sequence)
    after = mean_interval(evidence.after, resampling, evidence.sequence)
    kept_share = None
    if before is not None and before.n >= rule.min_examples and before.lower >= rule.min_gain:
        kept_share = ratio_interval(evidence.after, evidence.before, resampling, evidence.sequence)
    few = before is None or before.n < rule.min_examples
    lacking = "too few natural examples" if few else "it attends too little to the natural examples"
    without = None if kept_share else lacking
    kind, reason = _decide(long_gain, one_share, kept_share, rule, without)
    return Verdict(kind, reason, one_gain, long_gain, one_share, before, after, kept_share)


def false_verdict_share(
    evidence: HeadEvidence, rule: VerdictRule, resampling: Resampling, n_shuffles: int, seed: int
) -> float | None:
    """The share of shuffled controls with another verdict than neither; None for n_shuffles = 0."""
    generator = np.random.default_rng(seed)
    kinds = [judge(evidence.shuffled(generator), rule, resampling).kind for _ in range(n_shuffles)]
    return sum(kind != "neither" for kind in kinds) / n_shuffles if n_shuffles else None


def _decide(
    long_gain: Interval,
    one_share: Interval,
    kept_share: Interval | None,
    rule: VerdictRule,
    without: str | None,
) -> tuple[Kind, str]:
    if long_gain.lower < rule.min_gain:
        return "neither", "attention rises too little when a span repeats"
    sides: Sequence[Kind | None] = [_side(part, rule) for part in (one_share, kept_share) if part is not None]
    evidence = f"on random tokens; {without}" if without else "on random tokens and after corruption"
    if sides[0] is None:
        return "neither", "undecided: the interval on random tokens spans the threshold"
    if sides[-1] is None:
        return "neither", "undecided: the interval after corruption spans the threshold"
    if sides[0] != sides[-1]:
        return "neither", f"{sides[0]} on random tokens, {sides[-1]} after corruption"
    needs = "needs two or more matching tokens" if sides[0] == "long-prefix" else "needs one matching token"
    return sides[0], f"{needs} ({evidence})"


def _side(part: Interval, rule: VerdictRule) -> Kind | None:
    if part.upper < rule.max_one_share:
        return "long-prefix"
    return "standard" if part.lower >= rule.max_one_share else None
