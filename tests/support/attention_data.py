"""What a head attends to, drawn from a seed: weights that sum to 1, and examples that are in the text."""

import numpy as np
from numpy.typing import NDArray

from app.domain.attention import (
    N_PICTURES,
    PICTURE_COLUMNS,
    PICTURE_ROWS,
    AttentionExamples,
    HeadAttention,
    SinkTokens,
    TokenShares,
)
from app.domain.records import N_INTERVALS, N_SOURCES, ExampleGroup
from app.domain.refs import HeadRef

N_TOP, N_SAMPLED, FEWEST = 20, 10, 4


def make_attention(
    head: HeadRef, seed: int, sequences: NDArray[np.int32], n_vocabulary: int
) -> HeadAttention:
    """Deterministic in its arguments. The first head of every layer attends to nothing but sinks."""
    rng = np.random.default_rng((seed, head.layer, head.head))
    context = sequences.shape[1]
    groups = () if head.head == 0 else _groups()
    n = groups[-1].stop if groups else 0
    examples = _examples(rng, n, len(sequences), context)
    pictures = [_picture(rng, int(position), context) for position in examples.position[:N_PICTURES]]
    distance = rng.dirichlet(np.full(context, 0.3))
    return HeadAttention(
        ref=head,
        n_destinations=len(sequences) * (context - 1),
        sink_share=0.62,
        first_sink_share=0.5,
        sinks=SinkTokens(np.array([0, 5, 9], np.int32), np.array([40, 12, 3]), np.array([0.5, 0.1, 0.02])),
        distance=distance if n else np.zeros(context),
        read_from=_tokens(rng, n_vocabulary, bool(n)),
        read=_tokens(rng, n_vocabulary, bool(n)),
        groups=groups,
        examples=examples,
        pictures=np.stack(pictures) if n else np.zeros((0, 0, 0), np.uint8),
    )


def _groups() -> tuple[ExampleGroup, ...]:
    groups = [ExampleGroup("top", 0.8, 0.99, N_TOP, 0.02, 0, N_TOP)]
    for i in range(N_INTERVALS):
        start, upper = N_TOP + i * N_SAMPLED, 0.99 * (1 - i / N_INTERVALS)
        name, n, share = f"interval {5 - i}", 90 * (i + 1), 0.06 * (i + 1)
        groups.append(ExampleGroup(name, upper - 0.198, upper, n, share, start, start + N_SAMPLED))
    return tuple(groups)


def _examples(rng: np.random.Generator, n: int, n_sequences: int, context: int) -> AttentionExamples:
    position = rng.integers(FEWEST, context, n)
    source = np.full((n, N_SOURCES), -1, np.int16)
    weight = np.zeros((n, N_SOURCES), np.float32)
    rest, sink = np.zeros(n, np.float32), np.zeros(n, np.float32)
    for i, dest in enumerate(position):
        n_sources = min(int(dest), N_SOURCES)
        source[i, :n_sources] = rng.permutation(int(dest))[:n_sources] + 1
        parts = rng.dirichlet(np.full(n_sources + 2, 0.4))
        weight[i, :n_sources] = np.sort(parts[:n_sources])[::-1]
        rest[i], sink[i] = parts[n_sources:]
    sequence = rng.integers(0, n_sequences, n).astype(np.int32)
    return AttentionExamples(sequence, position.astype(np.int32), source, weight, rest, sink)


def _picture(rng: np.random.Generator, position: int, context: int) -> NDArray[np.uint8]:
    n_rows, n_columns = min(PICTURE_ROWS, context), min(PICTURE_COLUMNS, context)
    picture = np.zeros((n_rows, n_columns), np.uint8)
    for row in range(n_rows):
        dest = position - n_rows + 1 + row
        for weight in rng.dirichlet(np.full(4, 0.5)) if dest >= 0 else ():
            source = int(rng.integers(0, dest + 1))
            column = source - position + n_columns - 1
            if column >= 0:
                picture[row, column] = round(255 * weight)
    return picture


def _tokens(rng: np.random.Generator, n_vocabulary: int, some: bool) -> TokenShares:
    n = 12 if some else 0
    share = np.sort(rng.uniform(0.01, 0.06, n))[::-1]
    return TokenShares(rng.permutation(n_vocabulary)[:n].astype(np.int32), share.copy(), share / 3)
