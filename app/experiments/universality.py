"""The same scan over every head of any model: induction score against what longer prefixes add."""

from dataclasses import dataclass, field

import numpy as np

from app.adapters.interventions import ExperimentModel
from app.domain.refs import HeadRef
from app.experiments.intervals import Resampling
from app.experiments.progress import PLAIN, Batching
from app.experiments.repeated_prefixes import attention_by_prefix, repeated_prefixes
from app.experiments.verdicts import HeadEvidence, Kind, Verdict, VerdictRule, judge

NAME = "universality"


@dataclass(frozen=True)
class ScanParameters:
    """As in the long-prefix study, on random tokens alone."""

    max_prefix: int = 4
    n_examples: int = 60
    length: int = 32
    seed: int = 0
    rule: VerdictRule = field(default_factory=VerdictRule)
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True)
class HeadPoint:
    """One head in the scatter: x its attention at a prefix of one, y what longer prefixes add to it."""

    head: HeadRef
    induction_score: float
    long_prefix_gain: float
    verdict: Verdict


@dataclass(frozen=True)
class UniversalityResult:
    """Every head of one model. Several results stand side by side."""

    model: str
    n_layers: int
    n_heads: int
    parameters: ScanParameters
    heads: tuple[HeadPoint, ...]

    def named(self, kind: Kind) -> tuple[HeadRef, ...]:
        """The heads with a verdict, layers upward."""
        return tuple(point.head for point in self.heads if point.verdict.kind == kind)


def universality(
    model: ExperimentModel,
    parameters: ScanParameters | None = None,
    batching: Batching = PLAIN,
) -> UniversalityResult:
    """Scan all heads of a model. Raises InvalidExperiment."""
    p = parameters or ScanParameters()
    record = model.record
    heads = [HeadRef(layer, head) for layer in range(record.n_layers) for head in range(record.n_heads)]
    data = repeated_prefixes(model, p.n_examples, p.length, p.max_prefix, p.seed)
    attention = attention_by_prefix(model, data, heads, batching)
    nothing, nowhere = np.zeros(0), np.zeros(0, np.int64)
    points = tuple(
        HeadPoint(
            head,
            induction_score=float(scores[:, 1].mean()),
            long_prefix_gain=float((scores[:, 2:].mean(axis=1) - scores[:, 1]).mean())
            if p.max_prefix > 1
            else 0.0,
            verdict=judge(HeadEvidence(scores, nothing, nothing, nowhere), p.rule, p.resampling),
        )
        for head, scores in zip(heads, attention, strict=True)
    )
    return UniversalityResult(record.name, record.n_layers, record.n_heads, p, points)
