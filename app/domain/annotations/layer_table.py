"""The layer table: what groups each layer has, which heads stand out, and how abstract its groups are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.annotations.head_types import Mark, count_groups
from app.domain.annotations.records import Group, HeadAnnotation
from app.domain.annotations.roles import ABSTRACTION_LEVELS, FAMILIES, Family
from app.domain.refs import HeadRef


@dataclass(frozen=True)
class NotableHead:
    """A head that stands out in its layer. all_alike, shown as an asterisk: all its top features are in one group."""

    head: HeadRef
    all_alike: bool
    group: str
    n_in_group: int
    n_features: int
    roles: tuple[str, ...]


@dataclass(frozen=True)
class LayerRow:
    """One layer. Counts are of labelled features; abstraction is their mean level, None where none has one."""

    layer: int
    n_heads: int
    groups: tuple[tuple[str, int], ...]
    families: tuple[tuple[Family, int], ...]
    notable: tuple[NotableHead, ...]
    abstraction: float | None


def layer_table(annotations: Mapping[HeadRef, HeadAnnotation], n_layers: int) -> tuple[LayerRow, ...]:
    """One row for each layer of the model, those without annotations included."""
    return tuple(
        _row(layer, {head: annotations[head] for head in sorted(annotations) if head.layer == layer})
        for layer in range(n_layers)
    )


def _row(layer: int, heads: Mapping[HeadRef, HeadAnnotation]) -> LayerRow:
    names: list[str] = []
    families: Counter[Family] = Counter()
    for annotation in heads.values():
        groups = {group.name: group for group in annotation.groups}
        top = annotation.labels[: annotation.k]
        families["unclear"] += sum(label.unclear for label in top)
        for label in top:
            if label.group is not None:
                group: Group = groups[label.group]
                names.append(group.name)
                families[group.family] += 1
    notable_heads = (_notable(head, annotation) for head, annotation in heads.items())
    return LayerRow(
        layer=layer,
        n_heads=len(heads),
        groups=count_groups(names),
        families=tuple((family, families[family]) for family in FAMILIES if families[family]),
        notable=tuple(notable for notable in notable_heads if notable),
        abstraction=mean_abstraction(heads.values()),
    )


def mean_abstraction(annotations: Iterable[HeadAnnotation]) -> float | None:
    """The mean level of the labelled top features, token 1 to context 4; None where no group of theirs has a level."""
    levels: list[int] = []
    for annotation in annotations:
        level_of = {
            group.name: ABSTRACTION_LEVELS[group.abstraction]
            for group in annotation.groups
            if group.abstraction is not None
        }
        top = annotation.labels[: annotation.k]
        levels += [level_of[label.group] for label in top if label.group in level_of]
    return sum(levels) / len(levels) if levels else None


def _notable(head: HeadRef, annotation: HeadAnnotation) -> NotableHead | None:
    computed = annotation.computed
    stands_out = annotation.head_type in ("monosemantic", "minor_exceptions", "bisemantic")
    if not stands_out and not annotation.roles and not annotation.surprising:
        return None
    group, size = computed.groups[0] if computed.groups else ("", 0)
    labels = [label.label for label in annotation.labels[: annotation.k]]
    alike = size == computed.n_features > 0 and Mark.UNLABELLED not in labels
    return NotableHead(head, alike, group, size, computed.n_features, annotation.roles)
