"""Natural examples of long-prefix induction, corrupted to a prefix of one token: do heads still attend?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.evidence import normalised_ids, prefix_lengths
from app.domain.refs import HeadRef
from app.experiments.natural_text import AttendedPairs, Text
from app.experiments.progress import PLAIN, Batching

LONG = 2  # the shortest long prefix


@dataclass(frozen=True)
class Draws:
    """The number of replacement tokens that are drawn for each example, and the seed."""

    n: int
    seed: int


@dataclass(frozen=True, eq=False)
class LongExamples:
    """Examples with an exact prefix of at least 2, shared by all heads: columns over n examples."""

    sequence: NDArray[np.int64]
    dest: NDArray[np.int64]
    source: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True, eq=False)
class CorruptedExamples:
    """Attention from dest to source before and after corruption: [head, n], after is the mean over draws."""

    examples: LongExamples
    before: NDArray[np.float64]
    after: NDArray[np.float64]


def long_examples(
    text: Text, attended: Sequence[AttendedPairs], threshold: float, max_examples: int, seed: int, bos_id: int
) -> LongExamples:
    """At most max_examples examples (a sample if there are more) in which some head attends above the threshold.

    The destination's token must have exactly one earlier copy. With several, attention could move to what
    follows another copy, or be shared with it once both match one token only.
    """
    columns = [
        np.stack([pairs.sequence, pairs.dest, pairs.source])[
            :, (pairs.prefix >= LONG) & (pairs.attention > threshold)
        ]
        for pairs in attended
    ]
    unique = np.unique(np.concatenate(columns, axis=1), axis=1)
    sources = np.arange(text.tokens.shape[1])[None]
    prefix = prefix_lengths(text.tokens, unique[0][:, None], unique[1][:, None], sources, bos_id)
    unique = unique[:, (prefix >= 1).sum(axis=1) == 1]
    if unique.shape[1] > max_examples:
        chosen = np.random.default_rng(seed).choice(unique.shape[1], max_examples, replace=False)
        unique = unique[:, np.sort(chosen)]
    # By destination, as what lies past it need not be run.
    return LongExamples(*unique[:, np.argsort(unique[1], kind="stable")])


def corrupted_attention(
    model: ExperimentModel,
    text: Text,
    examples: LongExamples,
    heads: Sequence[HeadRef],
    draws: Draws,
    batching: Batching = PLAIN,
) -> CorruptedExamples:
    """Attention before and after corruption, which leaves a prefix of one token.

    The token at source-2 is replaced by one that does not match the token at dest-1, once for each draw.
    """
    original = text.tokens[examples.sequence]
    drawn = _replacements(model, original, examples, draws)
    rows = np.arange(len(examples))
    attention = np.empty((draws.n + 1, len(heads), len(examples)))
    for draw in range(draws.n + 1):
        tokens = original.copy()
        if draw > 0:
            tokens[rows, examples.source - 2] = drawn[draw - 1]
        stage = "natural examples" if draw == 0 else f"corrupted examples, draw {draw} of {draws.n}"
        for part in batching.slices(len(examples), stage):
            attention[draw, :, part] = _attention(model, tokens[part], examples, part, heads)
    return CorruptedExamples(examples, attention[0], attention[1:].mean(axis=0))


def _attention(
    model: ExperimentModel,
    tokens: NDArray[np.int64],
    examples: LongExamples,
    part: slice,
    heads: Sequence[HeadRef],
) -> NDArray[np.float64]:
    dest, source = torch.from_numpy(examples.dest[part]), torch.from_numpy(examples.source[part])
    tokens = tokens[:, : int(dest.max()) + 1]  # no head sees past dest
    activations = model.activations(torch.from_numpy(tokens), sorted({head.layer for head in heads}))
    rows = torch.arange(len(tokens))
    picked = [activations[head.layer].pattern[rows, head.head, dest, source] for head in heads]
    return torch.stack(picked).cpu().double().numpy()


def _replacements(
    model: ExperimentModel,
    original: NDArray[np.int64],
    examples: LongExamples,
    draws: Draws,
) -> NDArray[np.int64]:
    """Random ordinary tokens: [draw, n].

    They differ from the token at dest-1 by more than case or leading space.
    """
    special = model.tokenizer.special_token_ids | {model.record.bos_token_id}
    ordinary = np.array([t for t in range(model.record.d_vocab) if t not in special])
    fuzzy = normalised_ids(model.tokenizer.vocabulary(model.record.d_vocab))
    before_dest = fuzzy[original[np.arange(len(examples)), examples.dest - 1]]
    generator = np.random.default_rng(draws.seed)
    out = np.empty((draws.n, len(examples)), np.int64)
    for index, forbidden in enumerate(before_dest):
        allowed = ordinary[fuzzy[ordinary] != forbidden]
        out[:, index] = generator.choice(allowed, draws.n, replace=draws.n > len(allowed))
    return out
