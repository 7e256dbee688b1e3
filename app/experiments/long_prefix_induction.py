"""The long-prefix induction experiment: how many matching tokens does a head need to attend by induction?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.experiments.long_prefix import (
    LongPrefixHead,
    LongPrefixParameters,
    LongPrefixResult,
)
from app.domain.refs import HeadRef
from app.experiments.checks import check_heads
from app.experiments.corruption import CorruptedExamples, Draws, corrupted_attention, long_examples
from app.experiments.logit_attribution import LogitParts
from app.experiments.natural_text import (
    AttendedPairs,
    Text,
    attended_pairs,
    prefix_distribution,
)
from app.experiments.progress import PLAIN, Batching
from app.experiments.repeated_prefixes import (
    RepeatedPrefixes,
    attention_by_prefix,
    logit_parts_by_prefix,
    repeated_prefixes,
)
from app.experiments.verdicts import HeadEvidence, false_verdict_share, judge


def long_prefix_induction(
    model: ExperimentModel,
    heads: Sequence[HeadRef],
    text: Text | None,
    parameters: LongPrefixParameters | None = None,
    batching: Batching = PLAIN,
) -> LongPrefixResult:
    """Measurements and verdicts for these heads; without text, verdicts rest on random tokens and say so.

    Raises InvalidExperiment.
    """
    p = parameters or LongPrefixParameters()
    check_heads(model, heads)
    if text is not None:
        text.check(model)
    data = repeated_prefixes(model, p.n_examples, p.length, p.max_prefix, p.seed)
    few = RepeatedPrefixes(*(part[: p.n_logit_examples] for part in (data.tokens, data.source, data.dest)))
    attention = attention_by_prefix(model, data, heads, batching)
    parts = logit_parts_by_prefix(model, few, batching)
    attended: dict[HeadRef, AttendedPairs] = {}
    corrupted: CorruptedExamples | None = None
    if text is not None:
        attended = attended_pairs(model, text, heads, min(p.threshold, *p.sweep), batching)
        corrupted = _corrupt(model, text, heads, attended, p, batching)
    by_head = [
        _head_result(
            head,
            _head_logits(parts, head, data.n_lengths),
            attended.get(head),
            p,
            _evidence(attention, corrupted, index),
        )
        for index, head in enumerate(heads)
    ]
    return LongPrefixResult(
        model=model.record.name,
        parameters=p,
        heads=tuple(by_head),
        correct_logit_by_prefix=_columns(parts.logit.cpu().numpy().reshape(-1, data.n_lengths), p.resampling),
        worst_logit_error=parts.worst_error,
        n_text_tokens=0 if text is None else int(text.counted.sum()),
        n_corrupted=0 if corrupted is None else len(corrupted.examples),
    )


def _corrupt(
    model: ExperimentModel,
    text: Text,
    heads: Sequence[HeadRef],
    attended: dict[HeadRef, AttendedPairs],
    p: LongPrefixParameters,
    batching: Batching,
) -> CorruptedExamples:
    pairs = [attended[head] for head in heads]
    bos = model.record.bos_token_id
    examples = long_examples(text, pairs, p.threshold, p.max_corrupted, p.seed, bos)
    return corrupted_attention(model, text, examples, heads, Draws(p.n_draws, p.seed), batching)


def _evidence(
    attention: NDArray[np.float64], corrupted: CorruptedExamples | None, index: int
) -> HeadEvidence:
    if corrupted is None:
        nothing = np.zeros(0)
        return HeadEvidence(attention[index], nothing, nothing, np.zeros(0, np.int64))
    sequence = corrupted.examples.sequence
    return HeadEvidence(attention[index], corrupted.before[index], corrupted.after[index], sequence)


def _head_logits(parts: LogitParts, head: HeadRef, n_lengths: int) -> NDArray[np.float64]:
    return parts.heads[:, head.layer, head.head].cpu().numpy().reshape(-1, n_lengths)


def _head_result(
    head: HeadRef,
    logits: NDArray[np.float64],
    attended: AttendedPairs | None,
    p: LongPrefixParameters,
    evidence: HeadEvidence,
) -> LongPrefixHead:
    natural = ()
    if attended is not None:
        natural = tuple(prefix_distribution(attended, t, p.max_prefix, p.resampling) for t in p.sweep)
    return LongPrefixHead(
        head=head,
        verdict=judge(evidence, p.rule, p.resampling),
        control=false_verdict_share(evidence, p.rule, p.resampling, p.n_shuffles, p.seed),
        attention_by_prefix=_columns(evidence.by_prefix, p.resampling),
        logit_by_prefix=_columns(logits, p.resampling),
        natural=natural,
    )


def _columns(values: NDArray[np.float64], resampling: Resampling) -> tuple[Interval, ...]:
    """The mean of each column of values [example, k] with its interval, from common resamples of examples."""
    drawn = resampling.weights(len(values)) / len(values)
    means, resampled = values.mean(axis=0), drawn @ values
    return tuple(
        resampling.interval(float(mean), resampled[:, k], len(values)) for k, mean in enumerate(means)
    )
