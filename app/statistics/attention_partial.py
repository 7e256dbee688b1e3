"""What each head of one layer attends to over some shards of the corpus, with or without an SAE."""

from dataclasses import dataclass, replace

import numpy as np

from app.domain.attention import PICTURE_POOL
from app.domain.records import N_INTERVAL_EXAMPLES, N_TOP_EXAMPLES
from app.statistics.activation_bins import BinCounts
from app.statistics.activation_sample import ActivationSample
from app.statistics.arrays import AnyArray, Floats32, Ints, distinct, places, run_starts
from app.statistics.kept_tokens import TopTokens, activation_rank, token_key
from app.statistics.leaves import Count, Shards, Total
from app.statistics.partial import Partial
from app.statistics.payloads import Payloads, payload_key, split_key
from app.statistics.token_groups import TokenGroup, token_groups
from app.statistics.token_mass import TokenMass


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of one layer's attention patterns."""

    n_heads: int
    context_size: int


@dataclass(frozen=True)
class AttentionBatch:
    """One layer's attention on one batch of sequences, over counted destinations (no BOS, no padding).

    A pair is a ranked (head, destination) with its largest weight on a source that is no sink; the index of its token
    counts over the whole corpus.
    """

    n_destinations: int
    head: Ints  # [pairs]
    token_index: Ints  # [pairs]
    text: Ints  # [pairs] equal for destinations whose texts are, as `text_keys` has it
    weight: Floats32  # [pairs] > 0
    sink_mass: AnyArray  # [heads] attention on sinks
    first_sink_mass: AnyArray  # [heads] attention on sinks at position 0
    distance: AnyArray  # [heads context] attention on sources that are no sinks, by how far back they are
    read_from: TokenMass  # by the destination's token: n destinations, their attention on what is no sink
    read: TokenMass  # by the source's token: n positions, the attention on them where they are no sinks
    sinks: TokenMass  # by the sink's token: n sinks, the attention on them


@dataclass(frozen=True, eq=False)
class AttentionPartial(Partial):
    """Statistics of one layer's attention by head. unit = head; rank = largest weight on a source that is no sink."""

    n_destinations: Count  # []
    sink_mass: Total  # [heads]
    first_sink_mass: Total  # [heads]
    distance: Total  # [heads context]
    read_from: TokenMass
    read: TokenMass
    sinks: TokenMass
    histogram: BinCounts
    top: TopTokens
    sample: ActivationSample
    payloads: Payloads  # sources of every kept destination
    pictures: Payloads  # patterns of each head's PICTURE_POOL strongest destinations

    @classmethod
    def empty(
        cls,
        plan: str,
        shape: AttentionShape,
        seed: int,
        shards: Shards | None = None,
        n_top: int = N_TOP_EXAMPLES,
        n_sample: int = N_INTERVAL_EXAMPLES,
    ) -> "AttentionPartial":
        by_head = Total.zeros(shape.n_heads)
        by_token = TokenMass.empty(shape.n_heads)
        return cls(
            plan=plan,
            shards=Shards.of() if shards is None else shards,
            n_destinations=Count.zeros(),
            sink_mass=by_head,
            first_sink_mass=by_head,
            distance=Total.zeros(shape.n_heads, shape.context_size),
            read_from=by_token,
            read=by_token,
            sinks=by_token,
            histogram=BinCounts.empty(),
            top=TopTokens.empty(n_top),
            sample=ActivationSample.empty(shape.n_heads, n_sample, seed),
            payloads=Payloads.empty(),
            pictures=Payloads.empty(),
        )

    @property
    def n_heads(self) -> int:
        return len(self.sink_mass.total)

    def update(self, batch: AttentionBatch) -> "AttentionPartial":
        """Fold one batch in. Returns a new partial; the order of the batch's pairs does not matter.

        Raises ValueError on columns that disagree, on a pair that is there twice and on a value not finite.
        """
        order = _pair_order(batch, self.n_heads)
        head, token_index, weight = batch.head[order], batch.token_index[order], batch.weight[order]
        text = batch.text[order]
        return replace(
            self,
            n_destinations=self.n_destinations.merge(Count.of(batch.n_destinations)),
            sink_mass=self.sink_mass.merge(Total.of(batch.sink_mass)),
            first_sink_mass=self.first_sink_mass.merge(Total.of(batch.first_sink_mass)),
            distance=self.distance.merge(Total.of(batch.distance)),
            read_from=self.read_from.merge(batch.read_from),
            read=self.read.merge(batch.read),
            sinks=self.sinks.merge(batch.sinks),
            histogram=self.histogram.merge(BinCounts.of(head, weight)),
            top=self.top.add(head, token_key(activation_rank(weight), token_index), text),
            sample=self.sample.add(head, weight, token_index, text),
        ).normalise()

    def normalise(self) -> "AttentionPartial":
        """Keep payloads and pictures of destinations that are still kept."""
        return replace(
            self,
            payloads=self.payloads.restrict(self._kept_keys()),
            pictures=self.pictures.restrict(self._picture_keys()),
        )

    def _kept_keys(self) -> Ints:
        keys = (
            payload_key(self.top.unit, self.top.token_index),
            payload_key(self.sample.feature, self.sample.kept.token_index),
        )
        return distinct(np.concatenate(keys))

    def _picture_keys(self) -> Ints:
        starts = run_starts(self.top.unit)
        place = np.arange(len(self.top.unit)) - np.repeat(starts, np.diff(starts, append=len(self.top.unit)))
        first = place < PICTURE_POOL
        return np.sort(payload_key(self.top.unit[first], self.top.token_index[first]))

    def without_payload(self) -> tuple[Ints, Ints]:
        """(head, token_index) of kept destinations that lack one: asked after each update, all of its batch."""
        keys = self._kept_keys()
        return split_key(keys[places(keys, self.payloads.key) < 0])

    def without_picture(self) -> tuple[Ints, Ints]:
        """(head, token_index) of the strongest destinations whose pattern is missing."""
        keys = self._picture_keys()
        return split_key(keys[places(keys, self.pictures.key) < 0])

    def with_payloads(self, payloads: Payloads, pictures: Payloads) -> "AttentionPartial":
        """These added to those at hand; those of destinations not kept are dropped."""
        return replace(
            self, payloads=self.payloads.merge(payloads), pictures=self.pictures.merge(pictures)
        ).normalise()

    def groups(self, head: int) -> tuple[TokenGroup, ...]:
        """The strongest destinations, then the intervals of weight from the highest down."""
        return token_groups(head, self.top, self.sample, self.histogram)


def _pair_order(batch: AttentionBatch, n_heads: int) -> AnyArray:
    """By head, then token: what is kept is then the same however the caller found the pairs."""
    if not len(batch.head) == len(batch.token_index) == len(batch.text) == len(batch.weight):
        raise ValueError("the columns of a batch differ in length")
    if len(batch.head) and not 0 <= batch.head.min() <= batch.head.max() < n_heads:
        raise ValueError(f"heads must be in 0..{n_heads - 1}")
    key = payload_key(batch.head, batch.token_index)
    order = np.argsort(key)
    if (np.diff(key[order]) == 0).any():
        raise ValueError("a (head, destination) pair is in the batch twice")
    return order
