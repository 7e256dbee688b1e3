"""What a job costs, counted from sizes before anything runs: operations, bytes of memory and of disk.

Operations are multiplications and additions of the products that no implementation can spare: the forward pass to the
last layer (attention of every head is read), the encoding of all features, what each active feature reads and writes,
and the published features through W_O and W_U. Formulas are in docs/scale.md.
"""

import math
from dataclasses import dataclass

from app.accumulators.active_pairs import FEWEST_WAITING
from app.accumulators.attention_statistics import N_TOKEN_SUMS
from app.domain.attention import PICTURE_COLUMNS, PICTURE_POOL, PICTURE_ROWS
from app.domain.records import (
    N_INTERVAL_EXAMPLES,
    N_INTERVAL_POOL,
    N_INTERVALS,
    N_SOURCES,
    N_TOP_EXAMPLES,
    N_TOP_POOL,
)
from app.precompute.kept_activations import KEPT_BYTES
from app.precompute.layer_workers import encoding_bytes, most_layers
from app.precompute.payload_parts import MEMORY_BYTES
from app.precompute.plan import RunPlan

FLOAT32, FLOAT64, KEY = 4, 8, 24
PACKED = 0.21  # bytes of a stored block over those of arrays that are full: 2,304 features of SmolLM2-135M
# Bytes of a feature's rows that search reads, the index of evidence, and pages that are not full: likewise.
ROWS = 2_600
# What a shard accumulates of a feature: histogram cells (random lognormal activations fill some 40), and the places of
# samples: the bins above the first inner edge of the intervals, four an octave, and one for all below.
N_CELLS, N_SLOTS = 40, 1 + math.ceil(4 * math.log2(N_INTERVALS))
# Bytes: of a cell, a kept or waiting pair, a token's text and quality, the head and token of a row of attention.
CELL, ROW, SHARD_TOKEN, PAIR = 16, 12, 16, 16
RANDOM_LENGTH = 2 * RunPlan.score_length + 1  # BOS, and the random tokens twice


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of a model. n_block_parameters: of all its blocks, without embedding and unembedding."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_head: int
    d_model: int
    d_vocab: int
    n_parameters: int
    n_block_parameters: int


@dataclass(frozen=True)
class SaeSizes:
    """Sizes of one layer's SAE. l0: active features per token."""

    layer: int
    d_in: int
    d_sae: int
    l0: float


@dataclass(frozen=True)
class Work:
    """A job: a model, its SAEs, and how much text."""

    model: ModelSizes
    saes: tuple[SaeSizes, ...]
    n_sequences: int
    context_size: int
    batch_size: int
    shard_size: int
    bytes_a_weight: int
    is_whole: bool  # every feature is published, not the lists of heads alone
    k: int
    threads: int = 1  # that work on layers; 1 beside an accelerator

    @property
    def n_tokens(self) -> int:
        """Positions of the corpus."""
        return self.n_sequences * self.context_size

    @property
    def n_published(self) -> int:
        """Features with a page: all, or at most k by two rankings of each head."""
        return sum(self.n_published_of(sae) for sae in self.saes)

    def n_published_of(self, sae: SaeSizes) -> int:
        """Features of one SAE with a page."""
        return sae.d_sae if self.is_whole else min(sae.d_sae, 2 * self.k * self.model.n_heads)


def operations(work: Work) -> dict[str, float]:
    """The operations of each part; `head scores` is not part of the limit."""
    model, tokens = work.model, work.n_tokens
    pairs = sum(sae.l0 * sae.d_in for sae in work.saes) * tokens
    per_feature = model.n_heads * model.d_head * model.d_model + model.d_model * model.d_vocab
    return {
        "forward": forward_operations(model, tokens, work.context_size),
        "encode": 2.0 * tokens * sum(sae.d_in * sae.d_sae for sae in work.saes),
        "logits": 2.0 * work.n_published * per_feature,
        "pairs": 2 * 2.0 * pairs,
        "head scores": forward_operations(model, RunPlan.n_score_sequences * RANDOM_LENGTH, RANDOM_LENGTH),
    }


LIMIT = ("forward", "encode", "logits")  # what the targets of docs/scale.md are ratios of


def forward_operations(model: ModelSizes, n_tokens: int, context_size: int) -> float:
    """Operations of a forward pass: 2 per weight and token, 4 per head dimension and pair (q·k, pattern·v)."""
    attention = 4.0 * context_size * model.n_heads * model.d_head * model.n_layers
    return n_tokens * (2.0 * model.n_block_parameters + attention)


def memory(work: Work) -> dict[str, float]:
    """Bytes of memory of each part at its peak."""
    model = work.model
    positions = work.batch_size * work.context_size
    encoding = encoding_bytes(positions, max((sae.d_sae for sae in work.saes), default=0))
    values = 2 * model.n_heads * model.d_head + model.n_heads * work.context_size  # z, v and the pattern
    return {
        "model": float(model.n_parameters * work.bytes_a_weight),
        # Encoder, decoder, and the encoder once more with its columns as rows.
        "SAEs": FLOAT32 * sum(3.0 * sae.d_in * sae.d_sae for sae in work.saes),
        "activations of a batch": FLOAT32 * positions * values * float(len(work.saes)),
        "encoding a batch": float(encoding * min(work.threads, len(work.saes), most_layers(encoding))),
        "accumulators": accumulator_bytes(work),
        "statistics": statistics_bytes(work),
        # Parts in memory, and the largest layer's whole: as parts, and joined.
        "payloads": min(MEMORY_BYTES, payload_bytes(work))
        + 2 * max(_payload_bytes_by_layer(work), default=0.0),
    }


def accumulator_bytes(work: Work) -> float:
    """Bytes that a shard's statistics hold before they are partials, at most: where they are accumulated.

    That is on the device of the activations if it has float64, else on the host.
    """
    n_tokens = min(work.shard_size, work.n_sequences) * work.context_size
    layers = (_layer_accumulator_bytes(sae, work.model.n_heads, sae.l0 * n_tokens) for sae in work.saes)
    return SHARD_TOKEN * n_tokens + sum(layers) + work.model.n_layers * attention_accumulator_bytes(work)


def attention_accumulator_bytes(work: Work) -> float:
    """The part of `accumulator_bytes` that is one layer's attention.

    Sources and pictures are made of each destination that is kept when its batch is over, and dropped with the shard:
    of a head's k best there are k in the first batch, and some k / i in the i-th.
    """
    n_heads, context, n_sequences = (
        work.model.n_heads,
        work.context_size,
        min(work.shard_size, work.n_sequences),
    )
    by_token = FLOAT64 * N_TOKEN_SUMS * min(work.model.d_vocab, n_sequences * context)
    kept = N_TOP_POOL + N_SLOTS * N_INTERVAL_POOL
    sources = PAIR + N_SOURCES * (2 + FLOAT32) + 2 * FLOAT32
    picture = PAIR + min(PICTURE_ROWS, context) * min(PICTURE_COLUMNS, context)
    n_times = 1 + math.log(max(n_sequences / work.batch_size, 1))
    return n_heads * (by_token + ROW * kept + n_times * (sources * kept + picture * PICTURE_POOL))


def _layer_accumulator_bytes(sae: SaeSizes, n_heads: int, n_pairs: float) -> float:
    # Of a feature: active tokens, their sum, mean and squares of p, and of each head's c these and its product with p.
    sums = FLOAT64 * (sae.d_sae * (4 + 3 * n_heads) + sae.d_in + sae.d_in**2)
    top, sampled = (min(n * sae.d_sae, n_pairs) for n in (N_TOP_POOL, N_SLOTS * N_INTERVAL_POOL))
    waiting = min(max(FEWEST_WAITING, sampled), n_pairs)
    cells = min(N_CELLS * sae.d_sae, n_pairs)
    return sums + FLOAT32 * sae.d_sae + CELL * cells + ROW * (top + sampled + waiting)


def statistics_bytes(work: Work) -> float:
    """Bytes of one shard's statistics of all layers; a sealed shard is at most as large."""
    n_heads = work.model.n_heads
    per_feature = FLOAT64 * (3 + 3 + 3 * n_heads) + KEY * (N_TOP_POOL + 6 * N_INTERVAL_POOL)
    return sum(FLOAT64 * (sae.d_in**2 + sae.d_in) + per_feature * sae.d_sae for sae in work.saes)


def payload_bytes(work: Work) -> float:
    """Bytes of the payloads of all examples that the store will show, as arrays."""
    return sum(_payload_bytes_by_layer(work))


def _payload_bytes_by_layer(work: Work) -> list[float]:
    a_feature = float(example_bytes(work) * (N_TOP_EXAMPLES + N_INTERVALS * N_INTERVAL_EXAMPLES))
    return [a_feature * work.n_published_of(sae) for sae in work.saes]


def disk(work: Work) -> dict[str, float]:
    """Bytes of the work folder when the pass is over, and of the published store."""
    n_shards = -(-work.n_sequences // work.shard_size)
    return {
        "sealed shards": n_shards * statistics_bytes(work),
        "kept activations": min(KEPT_BYTES, kept_bytes(work)),
        "payloads beyond memory": max(0.0, payload_bytes(work) - MEMORY_BYTES),
        "store": store_bytes(work),
    }


def kept_bytes(work: Work) -> float:
    """The bytes of all activations that payloads are made from, if all were kept."""
    model = work.model
    values = model.n_key_value_heads * model.d_head + model.n_heads * (work.context_size + 1) / 2
    return sum(work.n_tokens * (FLOAT32 * values + 6 * sae.l0) for sae in work.saes)


def store_bytes(work: Work) -> float:
    """The bytes of the store, from its features' records; compression is assumed to be as in the demo."""
    n_examples = N_TOP_EXAMPLES + N_INTERVALS * N_INTERVAL_EXAMPLES
    feature = n_examples * example_bytes(work) + work.model.n_heads * (10 * 2 * 8 + 60) + 2_000
    return work.n_published * (PACKED * feature + ROWS) + FLOAT32 * work.n_tokens


def example_bytes(work: Work) -> int:
    """Bytes of an example: the kept sources of each head and of their sum, and the feature over the sequence."""
    by_head = N_SOURCES * 6 + 4 + 4 + 2 + 2
    return work.model.n_heads * by_head + N_SOURCES * 6 + 2 * work.context_size + 36
