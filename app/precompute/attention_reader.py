"""Fold the attention patterns of a shard into a partial for each layer, in the forward pass that makes them.

A destination that is kept as an example gets its sources in the same pass, and the strongest of a head their pattern.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.language_model import ReadPattern
from app.attribution.attention import OpenAttention, open_attention, pictures, strongest_sources
from app.attribution.float64 import beside_float64
from app.domain.attention import fewest_destinations
from app.precompute.loaded_run import LoadedRun
from app.statistics.arrays import Ints
from app.statistics.attention_partial import AttentionBatch, AttentionPartial, AttentionShape
from app.statistics.leaves import Shards
from app.statistics.payloads import Payloads
from app.statistics.token_mass import TokenMass

_NUMBERS_AT_ONCE = 2**24  # of a pattern: copies of more of it would be most of a process's memory


def attention_name(layer: int) -> str:
    """The name of a layer's attention partial in a sealed file."""
    return f"A{layer}"


def empty_attention(run: LoadedRun, shards: Shards) -> AttentionPartial:
    """The empty attention partial of a layer of the run, the identity of merging."""
    plan = run.plan
    shape = AttentionShape(run.record.n_heads, run.corpus.context_size)
    return AttentionPartial.empty(
        plan.fingerprint, shape, plan.seed, shards, plan.n_top_pool, plan.n_interval_pool
    )


class AttentionReader:
    """Reads the patterns of one shard. `partials` grows with each batch: one for every layer with heads."""

    def __init__(self, run: LoadedRun, shard: int) -> None:
        self._corpus = run.corpus
        empty = empty_attention(run, Shards.of(shard))
        self.partials = dict.fromkeys(run.any_model.attention_layers, empty)

    def of_batch(self, start: int, stop: int, texts: Ints) -> ReadPattern:
        """A function that folds a layer's pattern on sequences start:stop in. texts: [sequence pos], their keys."""
        tokens = np.asarray(self._corpus.tokens[start:stop]).astype(np.int64)
        counted = self._corpus.counted(start, stop)

        def read(layer: int, pattern: Tensor) -> None:
            _, n_heads, n_positions, _ = pattern.shape
            n_at_once = max(1, _NUMBERS_AT_ONCE // (n_heads * n_positions**2))
            for first in range(0, stop - start, n_at_once):
                part = slice(first, first + n_at_once)
                text = TextBatch(start + first, tokens[part], counted[part], texts[part])
                self.partials[layer] = fold_pattern(self.partials[layer], pattern[part], text)

        return read


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Consecutive sequences of the corpus: their tokens, which positions count, and the key of each one's text."""

    first_sequence: int
    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_]
    texts: Ints  # [sequence pos], from `text_keys`

    @property
    def first_token(self) -> int:
        """The index in the corpus of the first position."""
        return self.first_sequence * self.tokens.shape[1]

    @property
    def attended(self) -> NDArray[np.bool_]:
        """Positions that a counted destination can read: those up to the last one that counts."""
        return self.counted[:, ::-1].cumsum(axis=1)[:, ::-1] > 0


def fold_pattern(
    partial: AttentionPartial, pattern: Float[Tensor, "sequence n_heads dest src"], text: TextBatch
) -> AttentionPartial:
    """The partial with one more batch of one layer, and with payloads of the destinations kept from it."""
    pattern = beside_float64(pattern)
    counted = torch.from_numpy(text.counted).to(pattern.device)
    attention = open_attention(pattern, counted, fewest_destinations(pattern.shape[2]))
    partial = partial.update(_batch(attention, text))
    return partial.with_payloads(
        _sources(pattern, attention.sink, text, *partial.without_payload()),
        _pictures(pattern, text, *partial.without_picture()),
    )


def _batch(attention: OpenAttention, text: TextBatch) -> AttentionBatch:
    tokens, counted, attended = text.tokens, text.counted, text.attended
    largest, sent, received = (
        part.numpy(force=True).transpose(0, 2, 1)  # [sequence position heads]
        for part in (attention.largest, attention.sent, attention.received)
    )
    is_sink = attention.sink.numpy(force=True).transpose(0, 2, 1)
    in_sinks = received * is_sink
    n_heads = largest.shape[2]
    ranked = largest * (np.arange(largest.shape[1]) >= fewest_destinations(largest.shape[1]))[:, None]
    sequence, position, head = np.nonzero(ranked)
    some_sink = is_sink.any(axis=2)
    return AttentionBatch(
        n_destinations=int(counted.sum()),
        head=head,
        token_index=text.first_token + sequence * tokens.shape[1] + position,
        text=text.texts[sequence, position],
        weight=np.ascontiguousarray(ranked[sequence, position, head]),
        sink_mass=in_sinks.sum(axis=(0, 1)),
        first_sink_mass=in_sinks[:, 0].sum(axis=0),
        distance=attention.distance.numpy(force=True),
        read_from=TokenMass.of(tokens[counted], _ones(counted, n_heads), sent[counted]),
        read=TokenMass.of(tokens[attended], _ones(attended, n_heads), (received - in_sinks)[attended]),
        sinks=TokenMass.of(tokens[some_sink], is_sink[some_sink], in_sinks[some_sink]),
    )


def _ones(chosen: Bool[np.ndarray, "sequence position"], n_heads: int) -> NDArray[np.int64]:
    return np.ones((int(chosen.sum()), n_heads), dtype=np.int64)


def _sources(pattern: Tensor, is_sink: Tensor, text: TextBatch, head: Ints, token_index: Ints) -> Payloads:
    sequence, dest = np.divmod(token_index - text.first_token, text.tokens.shape[1])
    at_sequence, at_head, at_dest = map(torch.from_numpy, (sequence, head, dest))
    rows = pattern[at_sequence, at_head, at_dest]
    strongest = strongest_sources(rows, is_sink[at_sequence, at_head])
    columns = {
        "source": strongest.source.numpy(force=True).astype(np.int16),
        "weight": strongest.weight.numpy(force=True),
        "rest": strongest.rest.numpy(force=True),
        "sink": strongest.sink.numpy(force=True),
    }
    return Payloads.of(head, token_index, columns) if len(head) else Payloads.empty()


def _pictures(pattern: Tensor, text: TextBatch, head: Ints, token_index: Ints) -> Payloads:
    if not len(head):
        return Payloads.empty()
    sequence, dest = np.divmod(token_index - text.first_token, text.tokens.shape[1])
    drawn = pictures(pattern, *(torch.from_numpy(part).to(pattern.device) for part in (sequence, head, dest)))
    return Payloads.of(head, token_index, {"picture": drawn.numpy(force=True)})
