"""What the heads of one layer attend to over one shard, accumulated where their patterns are."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from app.accumulators.active_pairs import ActivePairs, UnitTokens
from app.accumulators.batches import ShardTokens
from app.accumulators.shard_text import ShardText, TextBatch
from app.attribution.attention import OpenAttention, open_attention, pictures, strongest_sources
from app.attribution.float64 import beside_float64
from app.domain.attention import PICTURE_POOL, fewest_destinations
from app.statistics.attention_partial import AttentionPartial
from app.statistics.leaves import Count, Total
from app.statistics.payloads import Payloads, payload_key
from app.statistics.token_mass import TokenMass

# By token and head: open attention from it, open attention on it, attention on it as a sink, how often it is one.
N_TOKEN_SUMS = 4


class AttentionStatistics:
    """Grows with each batch of the shard, and becomes the partial that is sealed.

    A destination that is kept as an example gets its sources from the batch that it is in, and the strongest of a head
    their pattern.
    """

    def __init__(self, empty: AttentionPartial, tokens: ShardTokens, text: ShardText) -> None:
        """text: that of `tokens`, counted or not."""
        n_heads, n_positions = empty.distance.total.shape
        self._empty, self._text, self._first_token = empty, text, tokens.first
        self._pairs = ActivePairs(empty.sample, empty.top.k, tokens)
        float64 = {"dtype": torch.float64, "device": tokens.device}
        self._by_token = torch.zeros((len(text.token_id), N_TOKEN_SUMS * n_heads), **float64)
        self._distance = torch.zeros((n_heads, n_positions), **float64)
        self._first_sink_mass = torch.zeros(n_heads, **float64)
        self._sources, self._pictures = _Rows(), _Rows()

    def add(self, pattern: Float[Tensor, "sequence n_heads dest src"], text: TextBatch) -> None:
        """Add the layer's pattern on one batch; batches come in the order of their sequences.

        Raises ValueError on a weight that is not finite, here or in `partial`.
        """
        pattern = beside_float64(pattern)
        fewest = fewest_destinations(text.n_positions)
        attention = open_attention(pattern, text.counted, fewest)
        self._add_sums(attention, text)
        self._add_pairs(attention.largest, text, fewest)
        at = self._pairs.kept(text.first)
        self._sources.add(at.unit, at.token, _sources(pattern, attention.sink, at, text))
        at = self._pairs.strongest(PICTURE_POOL, text.first)
        self._pictures.add(at.unit, at.token, {"picture": pictures(pattern, *_places(at, text))})

    def _add_sums(self, attention: OpenAttention, text: TextBatch) -> None:
        in_sinks = attention.received * attention.sink
        columns = (attention.sent, attention.received - in_sinks, in_sinks, attention.sink.double())
        rows = torch.cat(columns, dim=1).transpose(1, 2).flatten(0, 1)[text.by_token]
        self._by_token[text.token] += text.segments.sum(rows)
        self._first_sink_mass += in_sinks[:, :, 0].sum(dim=0)
        self._distance += attention.distance

    def _add_pairs(
        self, largest: Float32[Tensor, "sequence n_heads dest"], text: TextBatch, fewest: int
    ) -> None:
        by_head = largest[:, :, fewest:].transpose(0, 1)
        head, sequence, dest = by_head.nonzero(as_tuple=True)
        token = text.first + sequence * text.n_positions + dest + fewest
        self._pairs.add(head, by_head[head, sequence, dest], token)
        self._pairs.fold()

    def partial(self) -> AttentionPartial:
        """The shard's partial, once all of its batches were added. Raises ValueError on a sum that is not finite."""
        text, n_heads = self._text, self._empty.n_heads
        sums = self._by_token.numpy(force=True)
        sent, read, in_sinks, n_sinks = np.split(sums, N_TOKEN_SUMS, axis=1)
        is_sink = n_sinks.any(axis=1)
        return replace(
            self._empty,
            n_destinations=Count.of(text.n_destinations.sum()),
            sink_mass=Total.of(in_sinks.sum(axis=0)),
            first_sink_mass=Total.of(self._first_sink_mass.numpy(force=True)),
            distance=Total.of(self._distance.numpy(force=True)),
            read_from=_token_mass(text, text.n_destinations, sent, n_heads),
            read=_token_mass(text, text.n_sources, read, n_heads),
            sinks=TokenMass.of(text.token_id[is_sink], n_sinks[is_sink], in_sinks[is_sink]),
            histogram=self._pairs.histogram(),
            top=self._pairs.top(),
            sample=self._pairs.sample(),
            payloads=self._sources.payloads(self._first_token),
            pictures=self._pictures.payloads(self._first_token),
        ).normalise()


class _Rows:
    """Columns of (head, token) pairs, some of which may be there twice, until it is known which are kept."""

    def __init__(self) -> None:
        self._parts: list[dict[str, Tensor]] = []

    def add(
        self, head: Int64[Tensor, " pair"], token: Int64[Tensor, " pair"], columns: dict[str, Tensor]
    ) -> None:
        if len(head):
            self._parts.append({"": torch.stack([head, token]).T, **columns})

    def payloads(self, first_token: int) -> Payloads:
        """The rows of each pair, once. first_token: the shard's, in the corpus."""
        if not self._parts:
            return Payloads.empty()
        columns = {
            name: torch.cat([part[name] for part in self._parts]).numpy(force=True) for name in self._parts[0]
        }
        head, token = columns.pop("").T
        key, place = np.unique(payload_key(head, token + first_token), return_index=True)
        return Payloads(key, {name: column[place] for name, column in columns.items()})


def _token_mass(text: ShardText, n: np.ndarray, mass: np.ndarray, n_heads: int) -> TokenMass:
    there = n > 0
    return TokenMass.of(text.token_id[there], np.repeat(n[there, None], n_heads, axis=1), mass[there])


def _places(at: UnitTokens, text: TextBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence, head and destination of pairs, as indices of the batch's pattern."""
    position = at.token - text.first
    return position // text.n_positions, at.unit, position % text.n_positions


def _sources(
    pattern: Float[Tensor, "sequence n_heads dest src"],
    is_sink: Bool[Tensor, "sequence n_heads src"],
    at: UnitTokens,
    text: TextBatch,
) -> dict[str, Tensor]:
    sequence, head, dest = _places(at, text)
    strongest = strongest_sources(pattern[sequence, head, dest], is_sink[sequence, head])
    return {
        "source": strongest.source.short(),
        "weight": strongest.weight,
        "rest": strongest.rest,
        "sink": strongest.sink,
    }
