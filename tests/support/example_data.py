"""Examples of a feature whose sums are true: sources sum to the head's contribution, heads to the pre-activation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.records import N_SOURCES, Examples, SummedSources
from tests.support.odd_text import prefix_length


@dataclass(frozen=True)
class RunShape:
    """How large a run to make."""

    n_layers: int = 3
    n_heads: int = 4
    sae_layers: tuple[int, ...] = (0, 2)
    features_per_layer: int = 12
    context: int = 48
    n_sequences: int = 12


def _source(rng: np.random.Generator, tokens: NDArray[np.int32], position: int) -> int:
    earlier = [at + 1 for at in range(1, position - 1) if tokens[at] == tokens[position]]
    return earlier[-1] if earlier and rng.random() < 0.8 else int(rng.integers(0, position + 1))


def make_examples(
    rng: np.random.Generator, shape: RunShape, sequences: NDArray[np.int32], activation: NDArray[np.float32]
) -> Examples:
    """One example for each activation, strongest first within its group."""
    n = len(activation)
    sequence = rng.integers(0, shape.n_sequences, n)
    position = rng.integers(2, shape.context, n)
    shares = rng.dirichlet(np.full(shape.n_heads, 0.4), n)
    bias = np.full(n, -0.5, np.float32)
    contribution = (shares * (activation + 0.5)[:, None]).astype(np.float32)
    source = np.full((n, shape.n_heads, N_SOURCES), -1, np.int16)
    dfa = np.zeros((n, shape.n_heads, N_SOURCES), np.float32)
    prefix = np.zeros((n, shape.n_heads), np.int16)
    for i in range(n):
        tokens = sequences[sequence[i]]
        for head in range(shape.n_heads):
            top = _source(rng, tokens, int(position[i]))
            others = [int(at) for at in rng.permutation(int(position[i]) + 1) if at != top][: N_SOURCES - 1]
            kept = [top, *others]
            source[i, head, : len(kept)] = kept
            dfa[i, head, 0] = 0.8 * contribution[i, head]
            dfa[i, head, 1 : len(kept)] = rng.normal(0, 0.02, len(others))
            prefix[i, head] = prefix_length(tokens, int(position[i]), top)
    summed = _summed(sequences[sequence], position, contribution.sum(-1, dtype=np.float64), source, dfa)
    context = np.where(rng.random((n, shape.context)) < 0.1, rng.random((n, shape.context)), 0.0)
    context[np.arange(n), position] = activation
    return Examples(
        sequence=sequence.astype(np.int32),
        position=position.astype(np.int32),
        activation=activation,
        pre_activation=activation,
        bias=bias,
        residual=rng.uniform(0, 5e-6, n).astype(np.float32),
        head_contribution=contribution,
        source=source,
        dfa=dfa,
        dfa_rest=(contribution - dfa.sum(-1)).astype(np.float32),
        prefix_length=prefix,
        prefix_length_fuzzy=prefix + (prefix > 2).astype(np.int16),
        sequence_activations=context.astype(np.float16),
        summed=summed,
    )


def _summed(
    tokens: NDArray[np.int32],
    position: NDArray[np.int64],
    contribution: NDArray[np.float64],
    source: NDArray[np.int16],
    dfa: NDArray[np.float32],
) -> SummedSources:
    """As the job keeps it, were the kept sources of each head all that there are."""
    n, (_, n_kept) = len(source), source.shape[1:]
    kept, values = np.full((n, n_kept), -1, np.int16), np.zeros((n, n_kept), np.float32)
    prefix = np.zeros(n, np.int16)
    for i in range(n):
        total: dict[int, float] = {}
        for at, value in zip(source[i].ravel().tolist(), dfa[i].ravel().tolist(), strict=True):
            if at >= 0:
                total[at] = total.get(at, 0.0) + value
        first = max(total, key=lambda at: (total[at], -at))
        rest = sorted(total.keys() - {first}, key=lambda at: (-abs(total[at]), at))
        order = [first, *rest][:n_kept]
        kept[i, : len(order)], values[i, : len(order)] = order, [total[at] for at in order]
        prefix[i] = prefix_length(tokens[i], int(position[i]), first)
    rest_dfa = (contribution - values.sum(-1, dtype=np.float64)).astype(np.float32)
    return SummedSources(kept, values, rest_dfa, prefix, prefix + (prefix > 2).astype(np.int16))
