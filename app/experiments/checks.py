"""Checks of heads and sequence lengths against the model, before anything is run."""

from collections.abc import Sequence

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef


def check_heads(model: ExperimentModel, heads: Sequence[HeadRef]) -> None:
    """Raise InvalidExperiment if there are no heads, a duplicate, or one that the model does not have."""
    if not heads:
        raise InvalidExperiment("no heads were given")
    record = model.record
    for head in heads:
        if not record.has_head(head):
            raise InvalidExperiment(
                f"{record.name} has no head {head}: it has {record.n_layers} layers of {record.n_heads} heads"
            )
    if len(set(heads)) != len(heads):
        raise InvalidExperiment(f"a head is named twice in {', '.join(map(str, heads))}")


def check_length(model: ExperimentModel, n_positions: int) -> None:
    """Raise InvalidExperiment if a sequence is longer than the model's context."""
    if n_positions > model.context_limit:
        raise InvalidExperiment(
            f"a sequence of {n_positions} tokens is longer than the {model.context_limit} that "
            f"{model.record.name} can read"
        )
