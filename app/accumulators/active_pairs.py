"""What is counted and kept of the active pairs of one layer and shard: histograms, top examples, samples."""

import numpy as np
import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from app.accumulators.batches import PairBatch, ShardTokens
from app.accumulators.bins import CountedBins, first_inner_bin
from app.accumulators.kept import KeptTokens, best, order_of, run_starts
from app.statistics.activation_bins import BIN_SHIFT, UNIT_BITS, BinCounts
from app.statistics.activation_sample import ActivationSample
from app.statistics.arrays import Ints
from app.statistics.kept_tokens import INFINITY_BITS, TopTokens, sampling_rank, token_key

# Pairs that wait at least: of 12 bytes each, in every layer of a shard.
FEWEST_WAITING = 2**18
_SLOT_MASK = (1 << UNIT_BITS) - 1


class ActivePairs:
    """Counts and kept tokens of the pairs added so far: whole numbers, the same for any batches and any device.

    Pairs wait until there are as many as kept ones, and are sorted in with these: so each is sorted a few times,
    however many batches there are, and what waits takes no more than what is kept.
    """

    def __init__(self, empty: ActivationSample, n_top: int, tokens: ShardTokens) -> None:
        """empty: its size, k and seed are those of the result."""
        if min(n_top, empty.kept.k) < 1:
            raise ValueError("at least one token of each unit must be kept")
        self._tokens, self._seed, device = tokens, empty.seed, tokens.device
        self._max_bits = torch.zeros(len(empty.max_activation), dtype=torch.int32, device=device)
        self._histogram = CountedBins.empty(device)
        self._top = KeptTokens.empty(n_top, device)
        self._sample = KeptTokens.empty(empty.kept.k, device)
        self._waiting: list[_Pairs] = []
        self._n_waiting = 0

    def add(self, batch: PairBatch) -> None:
        """Add pairs. Batches come in the order of their tokens."""
        self._waiting.append((batch.feature.int(), batch.activation.view(torch.int32), batch.token.int()))
        self._n_waiting += len(batch.feature)
        if self._n_waiting >= max(FEWEST_WAITING, len(self._sample.order)):
            self._fold()

    def histogram(self) -> BinCounts:
        """Active tokens by feature and bin. Raises ValueError on an activation that is not positive and finite."""
        self._fold()
        return self._histogram.bin_counts()

    def top(self) -> TopTokens:
        """The strongest tokens of each feature."""
        self._fold()
        return self._leaf(self._top, self._top.quality.numpy(force=True))

    def sample(self) -> ActivationSample:
        """The tokens sampled from each interval of activation."""
        self._fold()
        maximum = self._max_bits.view(torch.float32).numpy(force=True)
        rank = sampling_rank(self._token_index(self._sample), self._seed)
        return ActivationSample(maximum, self._leaf(self._sample, rank), self._seed)

    def _leaf(self, kept: KeptTokens, rank: Ints) -> TopTokens:
        text = self._tokens.text[kept.token.long()].numpy(force=True)
        return TopTokens(kept.unit.numpy(force=True), token_key(rank, self._token_index(kept)), text, kept.k)

    def _token_index(self, kept: KeptTokens) -> Ints:
        return kept.token.numpy(force=True).astype(np.int64) + self._tokens.first

    def _fold(self) -> None:
        if not self._n_waiting:
            return
        feature, bits, token = (torch.cat(column) for column in zip(*self._waiting, strict=True))
        self._waiting, self._n_waiting = [], 0
        feature, bits = feature.long(), bits.long()
        if not ((bits > 0) & (bits < INFINITY_BITS)).all():
            raise ValueError("an active feature's activation must be positive and finite")
        in_bin = bits >> BIN_SHIFT
        self._histogram = self._histogram.add(feature << UNIT_BITS | in_bin)
        self._top = self._top.add(order_of(feature, bits), token, self._tokens)
        starts = run_starts(self._top.unit)  # at each feature's largest activation
        self._max_bits[self._top.unit[starts]] = self._top.quality[starts].int()
        self._add_to_sample(feature, in_bin + 1, token)

    def _add_to_sample(
        self, feature: Int64[Tensor, " pair"], slot: Int64[Tensor, " pair"], token: Int32[Tensor, " pair"]
    ) -> None:
        """Under the new maxima, with slots that are low from now on made one, as `ActivationSample` does it."""
        kept = self._sample
        feature = torch.cat([kept.unit >> UNIT_BITS, feature])
        slot = torch.cat([kept.unit & _SLOT_MASK, slot])
        token = torch.cat([kept.token, token])
        is_high = slot > first_inner_bin(self._max_bits)[feature]  # slot = bin + 1
        unit = feature << UNIT_BITS | torch.where(is_high, slot, 0)
        quality = self._tokens.sampling_quality[token.long()]
        self._sample = best(order_of(unit, quality), token, self._tokens, kept.k)


_Pairs = tuple[Int32[Tensor, " pair"], Int32[Tensor, " pair"], Int32[Tensor, " pair"]]
