"""The long-prefix induction study: does a head need one matching token to attend by induction, or several?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.adapters.interventions import ExperimentModel
from app.domain.refs import HeadRef
from app.experiments.corruption import Corrupted, Draws, corrupted_attention, long_examples
from app.experiments.errors import InvalidExperiment, check_heads
from app.experiments.intervals import Interval, Resampling
from app.experiments.logit_attribution import LogitParts
from app.experiments.natural_text import (
    Attended,
    PrefixDistribution,
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
from app.experiments.verdicts import HeadEvidence, Verdict, VerdictRule, false_verdict_share, judge

NAME = "long-prefix-induction"


@dataclass(frozen=True)
class LongPrefixParameters:
    """Every number of the study; the defaults of the thresholds are the published ones."""

    max_prefix: int = 9
    n_examples: int = 60  # random sequences, each at every prefix length
    n_logit_examples: int = 16  # of them, for logit attribution, which runs the whole model
    length: int = 48  # of a random sequence, BOS included
    threshold: float = 0.3  # attention that counts as not trivial
    sweep: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    max_corrupted: int = 100
    n_draws: int = 3
    n_shuffles: int = 20
    seed: int = 0
    rule: VerdictRule = field(default_factory=VerdictRule)
    resampling: Resampling = field(default_factory=Resampling)

    def __post_init__(self) -> None:
        """Raises InvalidExperiment where a number cannot be used."""
        counts = (self.n_logit_examples, self.max_corrupted, self.n_draws)
        if min(counts) < 1 or self.n_shuffles < 0 or self.n_logit_examples > self.n_examples:
            raise InvalidExperiment(f"counts {counts} of examples and draws cannot be used")
        if not all(0 < threshold < 1 for threshold in (self.threshold, *self.sweep)):
            raise InvalidExperiment("attention thresholds lie between 0 and 1")


@dataclass(frozen=True)
class HeadStudy:
    """One head's results. Tuples by prefix length begin at 0, where nothing repeats."""

    head: HeadRef
    verdict: Verdict
    control: float | None  # share of label-shuffled controls not called neither
    attention_by_prefix: tuple[Interval, ...]
    logit_by_prefix: tuple[Interval, ...]  # DLA to the correct next token
    natural: tuple[PrefixDistribution, ...]  # at the sweep's thresholds; empty without text


@dataclass(frozen=True)
class LongPrefixResult:
    """The study of a set of heads, with what they share."""

    model: str
    parameters: LongPrefixParameters
    heads: tuple[HeadStudy, ...]
    correct_logit_by_prefix: tuple[Interval, ...]  # above the vocabulary's mean
    worst_logit_error: float  # of the identity: all parts sum to the logit
    n_text_tokens: int
    n_corrupted: int


def long_prefix_induction(
    model: ExperimentModel,
    heads: Sequence[HeadRef],
    text: Text | None,
    parameters: LongPrefixParameters | None = None,
    batching: Batching = PLAIN,
) -> LongPrefixResult:
    """Run the study. Without text, verdicts rest on random tokens alone and say so. Raises InvalidExperiment."""
    p = parameters or LongPrefixParameters()
    check_heads(model, heads)
    if text is not None:
        text.check(model)
    data = repeated_prefixes(model, p.n_examples, p.length, p.max_prefix, p.seed)
    few = RepeatedPrefixes(*(part[: p.n_logit_examples] for part in (data.tokens, data.source, data.dest)))
    attention = attention_by_prefix(model, data, heads, batching)
    parts = logit_parts_by_prefix(model, few, batching)
    attended: dict[HeadRef, Attended] = {}
    corrupted: Corrupted | None = None
    if text is not None:
        attended = attended_pairs(model, text, heads, min(p.threshold, *p.sweep), batching)
        corrupted = _corrupt(model, text, heads, attended, p, batching)
    studies = [
        _study(
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
        heads=tuple(studies),
        correct_logit_by_prefix=_columns(parts.logit.cpu().numpy().reshape(-1, data.n_lengths), p.resampling),
        worst_logit_error=parts.worst_error,
        n_text_tokens=0 if text is None else int(text.counted.sum()),
        n_corrupted=0 if corrupted is None else len(corrupted.examples),
    )


def _corrupt(
    model: ExperimentModel,
    text: Text,
    heads: Sequence[HeadRef],
    attended: dict[HeadRef, Attended],
    p: LongPrefixParameters,
    batching: Batching,
) -> Corrupted:
    pairs = [attended[head] for head in heads]
    bos = model.record.bos_token_id
    examples = long_examples(text, pairs, p.threshold, p.max_corrupted, p.seed, bos)
    return corrupted_attention(model, text, examples, heads, Draws(p.n_draws, p.seed), batching)


def _evidence(attention: NDArray[np.float64], corrupted: Corrupted | None, index: int) -> HeadEvidence:
    if corrupted is None:
        nothing = np.zeros(0)
        return HeadEvidence(attention[index], nothing, nothing, np.zeros(0, np.int64))
    sequence = corrupted.examples.sequence
    return HeadEvidence(attention[index], corrupted.before[index], corrupted.after[index], sequence)


def _head_logits(parts: LogitParts, head: HeadRef, n_lengths: int) -> NDArray[np.float64]:
    return parts.heads[:, head.layer, head.head].cpu().numpy().reshape(-1, n_lengths)


def _study(
    head: HeadRef,
    logits: NDArray[np.float64],
    attended: Attended | None,
    p: LongPrefixParameters,
    evidence: HeadEvidence,
) -> HeadStudy:
    natural = ()
    if attended is not None:
        natural = tuple(prefix_distribution(attended, t, p.max_prefix, p.resampling) for t in p.sweep)
    return HeadStudy(
        head=head,
        verdict=judge(evidence, p.rule, p.resampling),
        control=false_verdict_share(evidence, p.rule, p.resampling, p.n_shuffles, p.seed),
        attention_by_prefix=_columns(evidence.by_prefix, p.resampling),
        logit_by_prefix=_columns(logits, p.resampling),
        natural=natural,
    )


def _columns(values: NDArray[np.float64], resampling: Resampling) -> tuple[Interval, ...]:
    """The mean of each column [example, k], examples resampled together."""
    drawn = resampling.weights(len(values)) / len(values)
    means, resampled = values.mean(axis=0), drawn @ values
    return tuple(
        resampling.interval(float(mean), resampled[:, k], len(values)) for k, mean in enumerate(means)
    )
