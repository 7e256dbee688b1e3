"""Detectors of well-known kinds of heads, for every head of a model, scored against reference lists."""

import torch

from app.adapters.interventions import ExperimentModel
from app.attribution.head_scores import random_repeated_tokens, repeated_sequence_scores
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.known_heads import ROLES, HeadScores, KnownHeadParameters, KnownHeadsResult
from app.domain.refs import HeadRef
from app.experiments.checks import check_length
from app.experiments.circuits import copying_by_head, predicted_token_attention, successor_scores
from app.experiments.natural_text import Text
from app.experiments.progress import PLAIN, Batching


def known_heads(
    model: ExperimentModel,
    text: Text,
    parameters: KnownHeadParameters | None = None,
    batching: Batching = PLAIN,
) -> KnownHeadsResult:
    """The score of every head in every role. Raises InvalidExperiment."""
    p = parameters or KnownHeadParameters()
    text.check(model)
    scores = _attention_scores(model, p, batching)
    copying = copying_by_head(model)
    predicted = predicted_token_attention(model, text, batching)
    successor, n_steps = successor_scores(model)
    head_scores: list[HeadScores] = []
    for head in _all_heads(model):
        of_head = {role: scores[role][head] for role in ("previous_token", "duplicate_token", "induction")}
        of_head["copy_suppression"] = max(0.0, -copying[head]) * predicted[head]
        of_head["successor"] = successor[head]
        roles = tuple(role for role in ROLES if of_head[role] >= p.thresholds[role])
        head_scores.append(HeadScores(head, of_head, copying[head], predicted[head], roles))
    return KnownHeadsResult(model.record.name, p, tuple(head_scores), n_steps)


def _all_heads(model: ExperimentModel) -> list[HeadRef]:
    return [HeadRef(layer, head) for layer in model.attention_layers for head in range(model.record.n_heads)]


def _attention_scores(
    model: ExperimentModel, p: KnownHeadParameters, batching: Batching
) -> dict[str, dict[HeadRef, float]]:
    record = model.record
    check_length(model, 1 + 2 * p.length)
    try:
        tokens = random_repeated_tokens(
            p.n_sequences,
            p.length,
            record.d_vocab,
            model.tokenizer.special_token_ids,
            record.bos_token_id,
            p.seed,
        )
    except ValueError as error:
        raise InvalidExperiment(str(error)) from error
    shape = (record.n_layers, record.n_heads)
    total: dict[str, torch.Tensor] = {}
    count: dict[str, int] = {}
    for part in batching.slices(len(tokens), "attention on repeated tokens"):
        for layer, pattern in model.patterns(tokens[part]).items():
            for name, sums in repeated_sequence_scores(pattern, p.length).items():
                total.setdefault(name, torch.zeros(shape, dtype=torch.float64))[layer] += sums.total.sum(
                    0
                ).cpu()
                count[name] = count.get(name, 0) + (
                    int(sums.n.sum()) if layer == model.attention_layers[0] else 0
                )
    return {
        name: {head: float(value[head.layer, head.head] / count[name]) for head in _all_heads(model)}
        for name, value in total.items()
    }
