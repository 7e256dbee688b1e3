"""What is counted and kept of the active pairs of one layer and shard: histograms, top examples, samples."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, Int64
from torch import Tensor

from app.accumulators.batches import ShardTokens
from app.accumulators.bins import CountedBins, first_inner_bin
from app.accumulators.kept import KeptTokens, order_of, places_in_runs, run_starts
from app.statistics.activation_bins import BIN_SHIFT, UNIT_BITS, BinCounts
from app.statistics.activation_sample import ActivationSample
from app.statistics.arrays import Ints
from app.statistics.kept_tokens import INFINITY_BITS, TopTokens, sampling_rank, token_key

# Pairs that wait at least: of 12 bytes each, in every layer of a shard.
FEWEST_WAITING = 2**18
_SLOT_MASK = (1 << UNIT_BITS) - 1


@dataclass(frozen=True, eq=False)
class UnitTokens:
    """Tokens of units (features, heads), as places in the shard."""

    unit: Int64[Tensor, " pair"]
    token: Int64[Tensor, " pair"]

    @classmethod
    def where(
        cls, chosen: Bool[Tensor, " all"], unit: Int64[Tensor, " all"], token: Int32[Tensor, " all"]
    ) -> "UnitTokens":
        place = chosen.nonzero()[:, 0]
        return cls(unit[place], token[place].long())


class ActivePairs:
    """Counts and kept tokens of the pairs added so far: whole numbers, the same for any batches and any device.

    A pair is a unit (a feature, a head) and a token at which it has a positive number. Pairs wait until there are as
    many as kept ones, and are sorted in with these: so each is sorted a few times, however many batches there are, and
    what waits takes no more than what is kept.
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

    def add(
        self,
        unit: Int64[Tensor, " pair"],
        activation: Float32[Tensor, " pair"],
        token: Int64[Tensor, " pair"],
    ) -> None:
        """Add pairs by unit, then token. Batches come in the order of their tokens."""
        self._waiting.append((unit.int(), activation.view(torch.int32), token.int()))
        self._n_waiting += len(unit)
        if self._n_waiting >= max(FEWEST_WAITING, len(self._sample.order)):
            self.fold()

    def histogram(self) -> BinCounts:
        """Active tokens by feature and bin. Raises ValueError on an activation that is not positive and finite."""
        self.fold()
        return self._histogram.bin_counts()

    def top(self) -> TopTokens:
        """The strongest tokens of each feature."""
        self.fold()
        return self._leaf(self._top, self._top.quality.numpy(force=True))

    def sample(self) -> ActivationSample:
        """The tokens sampled from each interval of activation."""
        self.fold()
        maximum = self._max_bits.view(torch.float32).numpy(force=True)
        rank = sampling_rank(self._token_index(self._sample), self._seed)
        return ActivationSample(maximum, self._leaf(self._sample, rank), self._seed)

    def kept(self, first: int) -> UnitTokens:
        """The kept tokens from this place in the shard on, of the pairs folded in: top or sampled, some twice."""
        sampled = self._sample.unit >> UNIT_BITS
        unit, token = torch.cat([self._top.unit, sampled]), torch.cat([self._top.token, self._sample.token])
        return UnitTokens.where(token >= first, unit, token)

    def strongest(self, n: int, first: int) -> UnitTokens:
        """Those of the n strongest tokens of each unit that are from this place on, of the pairs folded in."""
        unit, token = self._top.unit, self._top.token
        return UnitTokens.where((places_in_runs(unit) < n) & (token >= first), unit, token)

    def _leaf(self, kept: KeptTokens, rank: Ints) -> TopTokens:
        text = self._tokens.text[kept.token.long()].numpy(force=True)
        return TopTokens(kept.unit.numpy(force=True), token_key(rank, self._token_index(kept)), text, kept.k)

    def _token_index(self, kept: KeptTokens) -> Ints:
        return kept.token.numpy(force=True).astype(np.int64) + self._tokens.first

    def fold(self) -> None:
        """Sort waiting pairs in. Raises ValueError on an activation that is not positive and finite."""
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
        starts = run_starts(self._top.unit).nonzero()[:, 0]  # at each feature's largest activation
        self._max_bits[self._top.unit[starts]] = self._top.quality[starts].int()
        self._add_to_sample(feature, in_bin + 1, token)

    def _add_to_sample(
        self, feature: Int64[Tensor, " pair"], slot: Int64[Tensor, " pair"], token: Int32[Tensor, " pair"]
    ) -> None:
        """Under the new maxima, with slots that are low from now on made one, as `ActivationSample` does it."""
        kept, low = self._sample, first_inner_bin(self._max_bits)

        def order(feature: Tensor, slot: Tensor, token: Tensor) -> Tensor:
            unit = feature << UNIT_BITS | torch.where(slot > low[feature], slot, 0)  # slot = bin + 1
            return order_of(unit, self._tokens.sampling_quality[token.long()])

        kept = kept.reordered(order(kept.unit >> UNIT_BITS, kept.unit & _SLOT_MASK, kept.token), self._tokens)
        self._sample = kept.add(order(feature, slot, token), token, self._tokens)


_Pairs = tuple[Int32[Tensor, " pair"], Int32[Tensor, " pair"], Int32[Tensor, " pair"]]
