"""A scan of every head of any model: the induction score against the gain from longer prefixes."""

import numpy as np

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.scan import HeadPoint, ScanParameters, UniversalityResult
from app.domain.refs import HeadRef
from app.experiments.progress import PLAIN, Batching
from app.experiments.repeated_prefixes import attention_by_prefix, repeated_prefixes
from app.experiments.verdicts import HeadEvidence, judge


def universality(
    model: ExperimentModel,
    parameters: ScanParameters | None = None,
    batching: Batching = PLAIN,
) -> UniversalityResult:
    """Induction score, gain from longer prefixes and verdict of every head of a model.

    Raises InvalidExperiment.
    """
    p = parameters or ScanParameters()
    record = model.record
    heads = [HeadRef(layer, head) for layer in model.attention_layers for head in range(record.n_heads)]
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
