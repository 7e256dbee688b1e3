"""Random tokens in which a span of each length is repeated, and the attention and logits of heads at its end.

An example has the same source and destination at all prefix lengths: only the repeated span grows. So scores
at two lengths are paired, and length is not confounded with distance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef
from app.experiments.checks import check_length
from app.experiments.logit_attribution import LogitParts, logit_parts
from app.experiments.progress import PLAIN, Batching


@dataclass(frozen=True, eq=False)
class RepeatedPrefixes:
    """tokens: [example, prefix length 0 to max, pos]; source and dest: [example].

    At prefix length n the tokens at dest-n+1 .. dest equal those at source-n .. source-1, and no others
    repeat. Prefix length 0 is the baseline in which nothing repeats.
    """

    tokens: NDArray[np.int64]
    source: NDArray[np.int64]
    dest: NDArray[np.int64]

    @property
    def n_lengths(self) -> int:
        """The number of prefix lengths, including the baseline 0."""
        return self.tokens.shape[1]


def repeated_prefixes(
    model: ExperimentModel, n_examples: int, length: int, max_prefix: int, seed: int
) -> RepeatedPrefixes:
    """Sequences of BOS and length - 1 distinct random tokens, with a repeated span of each prefix length.

    Special tokens are not used. Raises InvalidExperiment if the span does not fit twice, or the vocabulary is
    too small.
    """
    check_length(model, length)
    if n_examples < 1 or max_prefix < 1 or length < 2 * max_prefix + 2:
        raise InvalidExperiment(
            f"{n_examples} sequences of {length} tokens cannot hold a span of {max_prefix} tokens twice; "
            f"the least length is {2 * max_prefix + 2}"
        )
    bos, special = model.record.bos_token_id, model.tokenizer.special_token_ids
    ordinary = np.array([t for t in range(model.record.d_vocab) if t != bos and t not in special])
    if len(ordinary) < length - 1:
        raise InvalidExperiment(
            f"{model.record.name} has only {len(ordinary)} ordinary tokens, not {length - 1}"
        )
    generator = np.random.default_rng(seed)
    tokens = np.empty((n_examples, max_prefix + 1, length), np.int64)
    source, dest = np.empty(n_examples, np.int64), np.empty(n_examples, np.int64)
    for row in range(n_examples):
        # The longest span must fit before the source, and again between it and the destination.
        source[row] = generator.integers(max_prefix + 1, length - max_prefix)
        dest[row] = generator.integers(source[row] + max_prefix, length)
        tokens[row] = np.concatenate([[bos], generator.choice(ordinary, length - 1, replace=False)])
        for n in range(1, max_prefix + 1):
            span = tokens[row, n, source[row] - n : source[row]]
            tokens[row, n, dest[row] - n + 1 : dest[row] + 1] = span
    return RepeatedPrefixes(tokens, source, dest)


def attention_by_prefix(
    model: ExperimentModel,
    data: RepeatedPrefixes,
    heads: Sequence[HeadRef],
    batching: Batching = PLAIN,
) -> NDArray[np.float64]:
    """Each head's attention from dest to source: [head, example, prefix length]."""
    layers = sorted({head.layer for head in heads})
    tokens, source, dest = _flat(data)
    out = np.empty((len(heads), len(tokens)))
    for part in batching.slices(len(tokens), "attention by prefix length"):
        activations = model.activations(torch.from_numpy(tokens[part]), layers)
        rows = np.arange(part.stop - part.start)
        for index, head in enumerate(heads):
            out[index, part] = (
                activations[head.layer].pattern[rows, head.head, dest[part], source[part]].cpu().double()
            )
    return out.reshape(len(heads), *data.tokens.shape[:2])


def logit_parts_by_prefix(
    model: ExperimentModel, data: RepeatedPrefixes, batching: Batching = PLAIN
) -> LogitParts:
    """DLA at dest of the token at source, the correct continuation: [example * prefix length]."""
    tokens, source, dest = _flat(data)
    read_out = model.read_out()
    parts: list[LogitParts] = []
    for part in batching.slices(len(tokens), "logit attribution by prefix length"):
        batch = torch.from_numpy(tokens[part])
        decomposition = model.residual_decomposition(batch, torch.from_numpy(dest[part]))
        target = batch.gather(1, torch.from_numpy(source[part])[:, None])[:, 0]
        parts.append(logit_parts(decomposition, read_out, target.to(decomposition.logits.device)))
    return LogitParts.joined(parts)


def _flat(data: RepeatedPrefixes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return (
        data.tokens.reshape(-1, data.tokens.shape[-1]),
        np.repeat(data.source, data.n_lengths),
        np.repeat(data.dest, data.n_lengths),
    )
