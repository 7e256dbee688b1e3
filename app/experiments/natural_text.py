"""Attention in ordinary text by prefix length: the number of tokens before the source that equal those up to dest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.evidence import normalised_ids, prefix_lengths
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Resampling, ratio_interval
from app.domain.experiments.long_prefix import PrefixDistribution
from app.domain.refs import HeadRef
from app.experiments.checks import check_length
from app.experiments.progress import PLAIN, Batching


@dataclass(frozen=True, eq=False)
class Text:
    """Corpus sequences [sequence pos] that begin with BOS. counted: False at BOS and padding."""

    tokens: NDArray[np.int64]
    counted: NDArray[np.bool_]

    def check(self, model: ExperimentModel) -> None:
        """Raise InvalidExperiment if the model cannot read the text."""
        if self.tokens.ndim != 2 or self.tokens.shape != self.counted.shape or not self.counted.any():
            raise InvalidExperiment(f"text of shape {self.tokens.shape} has no tokens to count")
        check_length(model, self.tokens.shape[1])
        low, high = int(self.tokens.min()), int(self.tokens.max())
        if low < 0 or high >= model.record.d_vocab:
            raise InvalidExperiment(
                f"the text holds token ids {low} to {high}; the model's are 0 to {model.record.d_vocab - 1}"
            )


@dataclass(frozen=True, eq=False)
class AttendedPairs:
    """Every pair of positions to which one head gives enough attention: columns over the pairs."""

    sequence: NDArray[np.int64]
    dest: NDArray[np.int64]
    source: NDArray[np.int64]
    attention: NDArray[np.float64]
    prefix: NDArray[np.int16]  # exact
    prefix_fuzzy: NDArray[np.int16]  # up to one leading space and letter case


def attended_pairs(
    model: ExperimentModel,
    text: Text,
    heads: Sequence[HeadRef],
    threshold: float,
    batching: Batching = PLAIN,
) -> dict[HeadRef, AttendedPairs]:
    """All pairs of positions with attention above the threshold, by head; neither end is BOS or padding."""
    text.check(model)
    layers = sorted({head.layer for head in heads})
    parts_by_head: dict[HeadRef, list[NDArray[np.float64]]] = {head: [] for head in heads}
    for part in batching.slices(len(text.tokens), "attention in natural text"):
        activations = model.activations(torch.from_numpy(text.tokens[part]), layers)
        counted = text.counted[part]
        both = counted[:, :, None] & counted[:, None, :]
        for head in heads:
            pattern = activations[head.layer].pattern[:, head.head].cpu().double().numpy()
            row, dest, source = np.nonzero((pattern > threshold) & both)
            attention = pattern[row, dest, source]
            parts_by_head[head].append(np.array([row + part.start, dest, source, attention], np.float64))
    fuzzy_ids = normalised_ids(model.tokenizer.vocabulary(model.record.d_vocab))
    return {
        head: _matched(np.concatenate(parts, axis=1), text, fuzzy_ids, model)
        for head, parts in parts_by_head.items()
    }


def _matched(
    columns: NDArray[np.float64], text: Text, fuzzy_ids: NDArray[np.int64], model: ExperimentModel
) -> AttendedPairs:
    sequence, dest, source = (column.astype(np.int64) for column in columns[:3])
    bos = model.record.bos_token_id
    return AttendedPairs(
        sequence=sequence,
        dest=dest,
        source=source,
        attention=columns[3],
        prefix=prefix_lengths(text.tokens, sequence, dest, source, bos),
        prefix_fuzzy=prefix_lengths(fuzzy_ids[text.tokens], sequence, dest, source, int(fuzzy_ids[bos])),
    )


def prefix_distribution(
    pairs: AttendedPairs, threshold: float, max_prefix: int, resampling: Resampling
) -> PrefixDistribution:
    """The distribution of prefix lengths over pairs with attention above a threshold.

    Bootstrap resamples are of whole sequences, because pairs of one sequence are not independent.
    """
    is_above = pairs.attention > threshold
    prefix, sequence = pairs.prefix[is_above], pairs.sequence[is_above]
    matched, long = (prefix >= 1).astype(np.float64), (prefix >= 2).astype(np.float64)
    return PrefixDistribution(
        threshold=threshold,
        n_pairs=int(is_above.sum()),
        exact=_counts(prefix, max_prefix),
        fuzzy=_counts(pairs.prefix_fuzzy[is_above], max_prefix),
        induction_share=ratio_interval(matched, np.ones(len(matched)), resampling, sequence),
        long_share=ratio_interval(long, matched, resampling, sequence),
    )


def _counts(prefix: NDArray[np.int16], max_prefix: int) -> tuple[int, ...]:
    return tuple(np.bincount(np.minimum(prefix, max_prefix), minlength=max_prefix + 1).tolist())
