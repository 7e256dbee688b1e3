"""Detectors of well-known kinds of heads, for every head of a model, and a scoreboard against a list of them."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

import torch

from app.adapters.interventions import ExperimentModel
from app.attribution.head_scores import random_repeated_tokens, repeated_sequence_scores
from app.domain.refs import HeadRef
from app.experiments.circuits import copying_scores, predicted_token_attention, successor_scores
from app.experiments.errors import InvalidExperiment, check_length
from app.experiments.natural_text import Text
from app.experiments.progress import PLAIN, Batching

NAME = "known-heads"
ROLES = ("previous_token", "duplicate_token", "induction", "copy_suppression", "successor")


@dataclass(frozen=True)
class KnownHeadParameters:
    """A head has a role when its score reaches the role's threshold."""

    n_sequences: int = 64
    length: int = 64  # random tokens, seen twice
    thresholds: Mapping[str, float] = field(
        default_factory=lambda: {
            "previous_token": 0.4,
            "duplicate_token": 0.3,
            "induction": 0.3,
            "copy_suppression": 0.05,
            "successor": 0.5,
        }
    )
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises InvalidExperiment where a role has no threshold."""
        if set(self.thresholds) != set(ROLES):
            raise InvalidExperiment(f"thresholds are needed for {', '.join(ROLES)}")


@dataclass(frozen=True)
class HeadScores:
    """One head's score in each role, and the roles it is detected in.

    previous_token, duplicate_token, induction: mean attention on random tokens seen twice. copy_suppression:
    attention to earlier copies of the token that the model is about to predict, times how far the OV circuit
    writes the negative of what it reads (0 for a circuit that copies). successor: the share of steps of ordinal
    sequences at which the OV circuit boosts the next item most, of all items of the sequence.
    """

    head: HeadRef
    scores: Mapping[str, float]
    copying: float  # OV eigenvalues, -1 to 1
    predicted_attention: float
    roles: tuple[str, ...]


@dataclass(frozen=True)
class RoleScore:
    """A detector against a list of heads known to have the role; None where nothing is divided by."""

    role: str
    detected: tuple[HeadRef, ...]
    known: tuple[HeadRef, ...]
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class KnownHeadsResult:
    """Every head of the model."""

    model: str
    parameters: KnownHeadParameters
    heads: tuple[HeadScores, ...]
    n_successor_steps: int

    def detected(self) -> dict[str, frozenset[HeadRef]]:
        """The heads found in each role."""
        return {role: frozenset(h.head for h in self.heads if role in h.roles) for role in ROLES}


def known_heads(
    model: ExperimentModel,
    text: Text,
    parameters: KnownHeadParameters | None = None,
    batching: Batching = PLAIN,
) -> KnownHeadsResult:
    """Scores of every head in every role. Raises InvalidExperiment."""
    p = parameters or KnownHeadParameters()
    text.check(model)
    scores = _attention_scores(model, p, batching)
    copying = copying_scores(model)
    predicted = predicted_token_attention(model, text, batching)
    successor, n_steps = successor_scores(model)
    found: list[HeadScores] = []
    for head in _all_heads(model):
        of_head = {role: scores[role][head] for role in ("previous_token", "duplicate_token", "induction")}
        of_head["copy_suppression"] = max(0.0, -copying[head]) * predicted[head]
        of_head["successor"] = successor[head]
        roles = tuple(role for role in ROLES if of_head[role] >= p.thresholds[role])
        found.append(HeadScores(head, of_head, copying[head], predicted[head], roles))
    return KnownHeadsResult(model.record.name, p, tuple(found), n_steps)


def scoreboard(
    detected: Mapping[str, Set[HeadRef]], known: Mapping[str, Set[HeadRef]]
) -> tuple[RoleScore, ...]:
    """Precision and recall of each role that either side knows, in order of name."""
    rows: list[RoleScore] = []
    for role in sorted({*detected, *known}):
        ours, theirs = detected.get(role, frozenset()), known.get(role, frozenset())
        both = len(ours & theirs)
        rows.append(
            RoleScore(
                role,
                tuple(sorted(ours)),
                tuple(sorted(theirs)),
                precision=both / len(ours) if ours else None,
                recall=both / len(theirs) if theirs else None,
            )
        )
    return tuple(rows)


def _all_heads(model: ExperimentModel) -> list[HeadRef]:
    return [HeadRef(lay, h) for lay in range(model.record.n_layers) for h in range(model.record.n_heads)]


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
                count[name] = count.get(name, 0) + (int(sums.count.sum()) if layer == 0 else 0)
    return {
        name: {head: float(value[head.layer, head.head] / count[name]) for head in _all_heads(model)}
        for name, value in total.items()
    }
