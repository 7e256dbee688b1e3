"""Merging two states of a record that grew from one: field by field, feature by feature, nothing dropped."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from app.domain.annotations.fields import field_specs
from app.domain.annotations.names import normalised
from app.domain.annotations.records import Content, FeatureLabel, FeatureNote, Group, HeadAnnotation
from app.domain.refs import LabelledRef

T = TypeVar("T")


@dataclass(frozen=True)
class Clash:
    """A field, or one feature's label, that both sides changed to different values."""

    field: str
    mine: Any
    theirs: Any


@dataclass(frozen=True)
class MergeResult:
    """The merged content and the clashes: a field that both sides changed has my value, and theirs is in the clash."""

    content: Content
    clashes: tuple[Clash, ...]


def merge(base: Content, mine: Content, theirs: Content) -> MergeResult:
    """Three-way merge. `base` is what mine started from. Raises ValueError for contents of two kinds."""
    clashes: list[Clash] = []
    values: dict[str, Any] = {}
    for name, spec in field_specs(type(mine)).items():
        if not spec.merged_by_part:
            old, ours, other = (getattr(side, name, None) for side in (base, mine, theirs))
            values[name] = _choose(name, old, ours, other, clashes)
    match base, mine, theirs:
        case FeatureNote(), FeatureNote(), FeatureNote():
            return MergeResult(FeatureNote(**values), tuple(clashes))
        case HeadAnnotation(), HeadAnnotation(), HeadAnnotation():
            merged = _merge_parts(base, mine, theirs, values, clashes)
            return MergeResult(merged, tuple(clashes))
        case _:
            raise ValueError("a head and a feature cannot be merged")


def _choose(name: str, old: Any, mine: Any, theirs: Any, clashes: list[Clash]) -> Any:
    if mine == theirs or theirs == old:
        return mine
    if mine == old:
        return theirs
    clashes.append(Clash(name, mine, theirs))
    return mine


def _merge_parts(
    base: HeadAnnotation,
    mine: HeadAnnotation,
    theirs: HeadAnnotation,
    values: dict[str, Any],
    clashes: list[Clash],
) -> HeadAnnotation:
    labels = _merge_labels(_labels(base), _labels(mine), _labels(theirs), clashes)
    groups = _merge_groups(_groups(base), _groups(mine), _groups(theirs), clashes)
    names = {normalised(group.name): group.name for group in groups}
    for side in (mine, theirs):  # a group that one side removed stays while the other side uses it
        for label in labels:
            if label.group is not None and normalised(label.group) not in names:
                lost_group = next((group for group in side.groups if group.name == label.group), None)
                if lost_group:
                    groups.append(lost_group)
                    names[normalised(lost_group.name)] = lost_group.name
    spelled = (replace(label, group=label.group and names[normalised(label.group)]) for label in labels)
    return HeadAnnotation(
        **values,
        groups=tuple(groups),
        labels=tuple(spelled),
        roles=_merge_set(base.roles, mine.roles, theirs.roles),
        evidence=_merge_set(base.evidence, mine.evidence, theirs.evidence),
    )


def _labels(side: HeadAnnotation) -> dict[LabelledRef, FeatureLabel]:
    return {label.feature: label for label in side.labels}


def _groups(side: HeadAnnotation) -> dict[str, Group]:
    return {normalised(group.name): group for group in side.groups}


def _merge_set(base: tuple[T, ...], mine: tuple[T, ...], theirs: tuple[T, ...]) -> tuple[T, ...]:
    ours = [item for item in mine if item in theirs or item not in base]
    return (*ours, *(item for item in theirs if item not in base and item not in ours))


def _merge_labels(
    base: dict[LabelledRef, FeatureLabel],
    mine: dict[LabelledRef, FeatureLabel],
    theirs: dict[LabelledRef, FeatureLabel],
    clashes: list[Clash],
) -> list[FeatureLabel]:
    merged: list[FeatureLabel] = []
    for feature in dict.fromkeys((*mine, *theirs)):
        ours, other = mine.get(feature), theirs.get(feature)
        # A feature that one side no longer lists and the other has relabelled stays, as a clash.
        label = _choose(str(feature), base.get(feature), ours, other, clashes)
        if label is None and other != base.get(feature):
            label = other
        if label is not None:
            merged.append(label)
    return merged


def _merge_groups(
    base: dict[str, Group], mine: dict[str, Group], theirs: dict[str, Group], clashes: list[Clash]
) -> list[Group]:
    keys = [key for key in mine if key in theirs or key not in base]
    keys += [key for key in theirs if key not in mine and key not in base]
    merged: list[Group] = []
    for key in keys:
        ours, other = mine.get(key), theirs.get(key)
        group = ours or other
        if ours and other and ours != other:
            group = _choose(f"group {ours.name}", base.get(key), ours, other, clashes)
        if group:
            merged.append(group)
    return merged
