"""All kinds of experiments, by name."""

from typing import Any

from app.domain.experiments.ablation import HEAD_ABLATION, POLYSEMANTICITY
from app.domain.experiments.feature_check import FEATURE_CHECK
from app.domain.experiments.kind import ExperimentKind, unreadable
from app.domain.experiments.known_heads import KNOWN_HEADS
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION
from app.domain.experiments.rankings import WEIGHT_VS_FVE
from app.domain.experiments.scan import UNIVERSALITY

# Any: a name from an address or the store does not tell the types of its kind.
KINDS: dict[str, ExperimentKind[Any, Any]] = {
    kind.name: kind
    for kind in (
        LONG_PREFIX_INDUCTION,
        HEAD_ABLATION,
        KNOWN_HEADS,
        WEIGHT_VS_FVE,
        UNIVERSALITY,
        POLYSEMANTICITY,
        FEATURE_CHECK,
    )
}


def find_kind(name: str) -> ExperimentKind[Any, Any]:
    """The kind of that name. Raises InvalidStore for one that only another version knows."""
    if name not in KINDS:
        raise unreadable(name)
    return KINDS[name]


def has_seed(name: str) -> bool:
    """Whether experiments of that name have a seed; of one that only another version knows, its stored seed counts."""
    return name not in KINDS or KINDS[name].has_seed


def needs_roles(name: str) -> bool:
    """Whether experiments of that name rest on roles that annotators gave."""
    return name in KINDS and KINDS[name].needs_roles
