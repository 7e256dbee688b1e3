"""Self-consistency: what one annotator said of the same heads twice, the second time without seeing the first."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated

from app.domain.annotations.fields import field_specs
from app.domain.annotations.head_types import Mark
from app.domain.annotations.names import normalised
from app.domain.annotations.records import FeatureLabel, HeadAnnotation, Revision
from app.domain.annotations.roles import ROLES
from app.domain.refs import HeadRef
from app.services.rollups.agreement import final_type

Pair = tuple[HeadAnnotation, HeadAnnotation]
Values = tuple[object, object]
# The answers about the whole head: what is said of it in text is hardly ever the same twice.
_ANSWERS = {
    name: spec
    for name, spec in field_specs(HeadAnnotation).items()
    if spec.column_set == "About it" and spec.kind != "text"
}


@dataclass(frozen=True)
class FieldConsistency:
    """How often a field has the same value in both looks."""

    field: Annotated[str, "The field, in words"]
    of: Annotated[str, "What is counted: heads, features, or roles of heads"]
    n: Annotated[int, "How many have a value in both looks"]
    agreement: Annotated[float | None, "The share whose values are the same; null where n is 0"]
    kappa: Annotated[float | None, "Cohen's kappa; null where chance agreement is total, or n is 0"]


@dataclass(frozen=True)
class SelfConsistency:
    """One annotator's consistency over the heads that they looked at twice."""

    annotator: Annotated[str, "Who"]
    n_heads: Annotated[int, "Heads with a submitted record of both looks"]
    fields: Annotated[tuple[FieldConsistency, ...], "Field by field"]


def self_consistency(
    first: Mapping[str, Mapping[HeadRef, HeadAnnotation]], seconds: Iterable[Revision]
) -> tuple[SelfConsistency, ...]:
    """The consistency of every annotator with submitted second looks at heads whose first record is submitted."""
    pairs: dict[str, list[Pair]] = {}
    for record in seconds:
        ref = record.subject.ref
        before = first.get(record.annotator, {}).get(ref) if isinstance(ref, HeadRef) else None
        if record.status == "submitted" and before is not None:
            pairs.setdefault(record.annotator, []).append((before, record.head))
    return tuple(SelfConsistency(name, len(looks), _fields(looks)) for name, looks in sorted(pairs.items()))


def _fields(looks: Sequence[Pair]) -> tuple[FieldConsistency, ...]:
    def both(value: Callable[[HeadAnnotation], object]) -> list[Values]:
        values = [(value(before), value(after)) for before, after in looks]
        return [(old, new) for old, new in values if old is not None and new is not None]

    roles: list[Values] = [
        (role.name in before.roles, role.name in after.roles) for before, after in looks for role in ROLES
    ]
    return (
        _field("head type", "heads", both(final_type)),
        _field("group of a feature", "features", [pair for look in looks for pair in _groups(look)]),
        _field("role, given or not", "roles of heads", roles),
        *(_field(spec.words, "heads", both(attrgetter(name))) for name, spec in _ANSWERS.items()),
    )


def _groups(look: Pair) -> list[Values]:
    """The names of the groups of each feature that has a label, or is unclear, in both looks."""
    before, after = ({label.feature: _said(label) for label in said.labels} for said in look)
    return [
        (before[feature], after[feature])
        for feature in before
        if before[feature] is not None and after.get(feature) is not None
    ]


def _said(label: FeatureLabel) -> object:
    if label.unclear:
        return Mark.UNCLEAR
    return None if label.group is None else normalised(label.group)


def _field(name: str, of: str, values: Sequence[Values]) -> FieldConsistency:
    n = len(values)
    same = sum(old == new for old, new in values)
    return FieldConsistency(name, of, n, same / n if n else None, cohens_kappa(values))


def cohens_kappa(values: Sequence[Values]) -> float | None:
    """Cohen's kappa of pairs of nominal values; None without pairs, or where both sides always say one thing.

    Source: Cohen 1960, A Coefficient of Agreement for Nominal Scales.
    """
    n = len(values)
    old, new = Counter(before for before, _ in values), Counter(after for _, after in values)
    expected = sum(count * new[value] for value, count in old.items())
    if expected == n * n:
        return None
    observed = sum(before == after for before, after in values)
    return (observed / n - expected / n**2) / (1 - expected / n**2)
