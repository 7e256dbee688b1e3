"""Attention scores of every head, summed over score sequences: all layers, with or without an SAE."""

from dataclasses import dataclass, fields, replace

import numpy as np

from app.statistics.arrays import AnyArray, Floats
from app.statistics.leaves import Count, Mean, Shards, Total
from app.statistics.partial import Partial


@dataclass(frozen=True)
class ScoreSums:
    """One score over a batch of sequences: its sum over the counted positions, and how many those are."""

    total: AnyArray  # [sequences n_layers n_heads]
    n: AnyArray  # [sequences] integers


@dataclass(frozen=True)
class HeadScoreBatch:
    """The scores of one batch of sequences: the first three on repeated random tokens, the rest on text."""

    previous_token: ScoreSums | None = None
    duplicate_token: ScoreSums | None = None
    induction: ScoreSums | None = None
    bos_attention: ScoreSums | None = None
    entropy: ScoreSums | None = None
    query_key_distance: ScoreSums | None = None


SCORE_NAMES = tuple(f.name for f in fields(HeadScoreBatch))


@dataclass(frozen=True, eq=False)
class HeadScorePartial(Partial):
    """Each score as a mean over counted positions, by layer and head. Entropy in nats, distance in tokens."""

    previous_token: Mean
    duplicate_token: Mean
    induction: Mean
    bos_attention: Mean
    entropy: Mean
    query_key_distance: Mean

    @classmethod
    def empty(
        cls, plan: str, n_layers: int, n_heads: int, shards: Shards | None = None
    ) -> "HeadScorePartial":
        zeros = {name: Mean.zeros(n_layers, n_heads) for name in SCORE_NAMES}
        return cls(plan=plan, shards=Shards.of() if shards is None else shards, **zeros)

    def update(self, batch: HeadScoreBatch) -> "HeadScorePartial":
        """Fold one batch in. Raises ValueError on other heads, other lengths or a value not finite."""
        added: dict[str, Mean] = {}
        for name in SCORE_NAMES:
            sums: ScoreSums | None = getattr(batch, name)
            if sums is not None:
                added[name] = getattr(self, name).merge(_mean_of(name, sums))
        return replace(self, **added)

    def scores(self) -> dict[str, Floats]:
        """[n_layers n_heads] by name. A score without a single counted position is left out."""
        means: dict[str, Mean] = {name: getattr(self, name) for name in SCORE_NAMES}
        return {name: mean.value() for name, mean in means.items() if mean.n.total}


def _mean_of(name: str, sums: ScoreSums) -> Mean:
    if len(sums.total) != len(sums.n) or np.any(np.less(sums.n, 0)):
        raise ValueError(f"{name} needs one non-negative count for each sequence")
    return Mean(
        Total.of(np.sum(sums.total, axis=0, dtype=np.float64)),
        Count(np.asarray(np.sum(sums.n, dtype=np.int64))),
    )
