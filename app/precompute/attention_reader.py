"""Have the attention patterns of a shard added to statistics of each layer, in the forward pass that makes them."""

import numpy as np
from torch import Tensor

from app.accumulators.attention_statistics import AttentionStatistics
from app.accumulators.batches import ShardTokens
from app.accumulators.shard_text import ShardText
from app.adapters.language_model import ReadPattern
from app.precompute.loaded_run import LoadedRun
from app.statistics.attention_partial import AttentionPartial, AttentionShape
from app.statistics.leaves import Shards

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
    """Reads the patterns of one shard, of every layer with heads."""

    def __init__(self, run: LoadedRun, shard: int, tokens: ShardTokens) -> None:
        self._first, self._device = shard * run.plan.shard_size, tokens.device
        stop = min(self._first + run.plan.shard_size, run.corpus.n_sequences)
        self._text = ShardText.of(
            np.asarray(run.corpus.tokens[self._first : stop]), run.corpus.counted(self._first, stop)
        )
        self._numbers_per_sequence = run.record.n_heads * run.corpus.context_size**2
        empty = empty_attention(run, Shards.of(shard))
        self._layers = {
            layer: AttentionStatistics(empty, tokens, self._text) for layer in run.any_model.attention_layers
        }

    def of_batch(self, start: int, stop: int) -> ReadPattern:
        """A function that adds a layer's pattern on sequences start:stop."""
        n_at_once = max(1, _NUMBERS_AT_ONCE // self._numbers_per_sequence)
        parts = [(first, min(first + n_at_once, stop)) for first in range(start, stop, n_at_once)]
        texts = [
            self._text.batch(first - self._first, last - self._first, self._device) for first, last in parts
        ]

        def read(layer: int, pattern: Tensor) -> None:
            for (first, last), text in zip(parts, texts, strict=True):
                self._layers[layer].add(pattern[first - start : last - start], text)

        return read

    def partials(self) -> dict[int, AttentionPartial]:
        """The partial of each layer, when all sequences were read."""
        return {layer: self._layers.pop(layer).partial() for layer in list(self._layers)}
