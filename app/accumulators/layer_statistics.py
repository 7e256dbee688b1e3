"""The statistics of one layer on one shard, accumulated where the activations are."""

import torch

from app.accumulators.active_pairs import ActivePairs
from app.accumulators.batches import PairBatch, ShardTokens
from app.accumulators.sums import LayerSums
from app.statistics.feature_partial import FeaturePartial


def statistics_device(activations: torch.device | str) -> torch.device:
    """Where statistics of activations on this device are accumulated: there if it has float64, else on the host."""
    device = torch.device(activations)
    return device if device.type == "cuda" else torch.device("cpu")


class LayerStatistics:
    """Grows with each batch of the shard, and becomes the partial that is sealed. Nothing of it is shared."""

    def __init__(self, empty: FeaturePartial, tokens: ShardTokens) -> None:
        self._empty = empty
        self._sums = LayerSums(empty.sums, tokens.device)
        self._pairs = ActivePairs(empty.sample, empty.top.k, tokens)

    def add(self, batch: PairBatch) -> None:
        """Fold one batch in; they come in the order of their tokens.

        Raises ValueError on a value that is not finite.
        """
        self._sums.add(batch)
        self._pairs.add(batch.feature, batch.activation, batch.token)

    def partial(self) -> FeaturePartial:
        """The shard's partial so far. Raises ValueError on a value that is not finite."""
        pairs = self._pairs
        return self._empty.with_sums(self._sums.total()).with_kept(
            pairs.histogram(), pairs.top(), pairs.sample()
        )
