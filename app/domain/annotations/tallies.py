"""Counts of head types with their fractions, and how they depend on k and on the ranking."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.annotations.head_types import HEAD_TYPES, HeadType, Mark, TypeFromGroups, classify
from app.domain.annotations.records import HeadAnnotation
from app.domain.records import RANKINGS, Ranking
from app.domain.refs import FeatureRef, HeadRef

SENSITIVITY_K = (5, 10, 20)


@dataclass(frozen=True)
class TallyRow:
    """How many heads have a type, of how many. fraction is count / total, 0 where there is no head."""

    head_type: HeadType
    count: int
    total: int
    fraction: float


@dataclass(frozen=True)
class Tally:
    """Every type in its order. total: heads with a settled type; provisional and untyped heads are apart."""

    rows: tuple[TallyRow, ...]
    total: int
    n_provisional: int
    n_untyped: int

    def __getitem__(self, head_type: HeadType) -> TallyRow:
        return next(row for row in self.rows if row.head_type == head_type)


@dataclass(frozen=True)
class LeftOut:
    """A head that the tally does not count: `n_open` of its `n_features` top features have no label.

    Both are 0 where a head has no features and no type was chosen.
    """

    head: HeadRef
    n_open: int
    n_features: int

    @property
    def words(self) -> str:
        """The head with the reason why it is left out."""
        if not self.n_features:
            return f"{self.head} (no features, no type chosen)"
        return f"{self.head} ({self.n_open} of {self.n_features} features open)"


@dataclass(frozen=True)
class SensitivityRow:
    """The tally that the same labels give for the top k of one ranking."""

    ranking: Ranking
    k: int
    tally: Tally


def _tally(types: Iterable[tuple[HeadType | None, bool]]) -> Tally:
    listed = list(types)
    final = Counter(head_type for head_type, provisional in listed if head_type and not provisional)
    total = sum(final.values())
    rows = tuple(
        TallyRow(name, final[name], total, final[name] / total if total else 0.0) for name in HEAD_TYPES
    )
    n_provisional = sum(head_type is not None and provisional for head_type, provisional in listed)
    return Tally(rows, total, n_provisional, sum(head_type is None for head_type, _ in listed))


def tally_heads(annotations: Iterable[HeadAnnotation]) -> Tally:
    """The table of head types, overrides counted as given."""
    return _tally((annotation.head_type, annotation.provisional) for annotation in annotations)


def left_out(annotations: Mapping[HeadRef, HeadAnnotation]) -> tuple[LeftOut, ...]:
    """The heads whose type is not settled, from the first layer up."""
    types = ((head, annotations[head]) for head in sorted(annotations))
    return tuple(
        LeftOut(head, 0, 0)
        if annotation.of_examples
        else LeftOut(head, annotation.computed.n_unlabelled, annotation.computed.n_features)
        for head, annotation in types
        if annotation.head_type is None or annotation.provisional
    )


def type_under(annotation: HeadAnnotation, features: Sequence[FeatureRef], k: int) -> TypeFromGroups:
    """The type that the annotation's groups give to other features, or the same in another order."""
    labels = {label.feature: label.label for label in annotation.labels}
    return classify([labels.get(feature, Mark.UNLABELLED) for feature in features], k)


def sensitivity(
    annotations: Mapping[HeadRef, HeadAnnotation],
    rankings: Mapping[tuple[HeadRef, Ranking], Sequence[FeatureRef]],
    ks: Sequence[int] = SENSITIVITY_K,
) -> tuple[SensitivityRow, ...]:
    """The tally for each ranking and k, from groups alone: overrides were made for one view and are left out."""
    rows: list[SensitivityRow] = []
    for ranking in RANKINGS:
        for k in ks:
            types = (
                type_under(annotation, rankings.get((head, ranking), ()), k)
                for head, annotation in annotations.items()
            )
            rows.append(
                SensitivityRow(ranking, k, _tally((result.head_type, result.provisional) for result in types))
            )
    return tuple(rows)
