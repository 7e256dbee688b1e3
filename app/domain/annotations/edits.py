"""Single changes of a head's annotation, and how undo and redo walk its revisions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.domain.annotations.fields import field_specs
from app.domain.annotations.names import normalised
from app.domain.annotations.records import EvidenceLink, FeatureLabel, Group, HeadAnnotation
from app.domain.annotations.roles import suggested_family
from app.domain.refs import LabelledRef


def group_named(content: HeadAnnotation, name: str) -> Group | None:
    return next((group for group in content.groups if normalised(group.name) == normalised(name)), None)


def add_group(content: HeadAnnotation, name: str) -> HeadAnnotation:
    """The annotation with a group of that name, unless it has one already, under this spelling or another."""
    if group_named(content, name):
        return content
    return replace(content, groups=(*content.groups, Group(name, suggested_family(name))))


def drop_group(content: HeadAnnotation, number: int) -> HeadAnnotation:
    """The annotation without the group of that number, from 1; its features have no label then."""
    if not 1 <= number <= len(content.groups):
        return content
    gone = content.groups[number - 1]
    labels = tuple(
        replace(label, group=None, suggested=False) if label.group == gone.name else label
        for label in content.labels
    )
    return replace(content, groups=tuple(g for g in content.groups if g is not gone), labels=labels)


def without_empty_groups(content: HeadAnnotation) -> HeadAnnotation:
    """The annotation without the groups that no label is in: an empty one says nothing about the head."""
    used = {label.group for label in content.labels}
    return replace(content, groups=tuple(group for group in content.groups if group.name in used))


def put_into_groups(
    content: HeadAnnotation, groups: Mapping[LabelledRef, str], suggested: bool
) -> HeadAnnotation:
    """The annotation with its unlabelled features in the groups named for them; groups that are missing are added."""
    for name in groups.values():
        content = add_group(content, name)
    labels: list[FeatureLabel] = []
    for label in content.labels:
        name = groups.get(label.feature)
        if name is not None and label.group is None and not label.unclear:
            group = group_named(content, name)
            label = replace(label, group=group.name if group else name, suggested=suggested)
        labels.append(label)
    return replace(content, labels=tuple(labels))


def cite(content: HeadAnnotation, link: EvidenceLink) -> HeadAnnotation:
    """The annotation with the link among its evidence; what is cited already is not cited twice."""
    if any((old.kind, old.target) == (link.kind, link.target) for old in content.evidence):
        return content
    return replace(content, evidence=(*content.evidence, link))


def drop_evidence(content: HeadAnnotation, number: int) -> HeadAnnotation:
    links = (link for i, link in enumerate(content.evidence, 1) if i != number)
    return replace(content, evidence=tuple(links))


def take_theirs(mine: HeadAnnotation, theirs: HeadAnnotation, names: Sequence[str]) -> HeadAnnotation:
    """My content with their values of some fields, features and groups, named as the clashes of a merge name them."""
    specs = field_specs(HeadAnnotation)
    for name in names:
        if name.startswith("group "):
            their_group = group_named(theirs, name.removeprefix("group "))
            groups = (
                their_group if their_group and normalised(g.name) == normalised(their_group.name) else g
                for g in mine.groups
            )
            mine = replace(mine, groups=tuple(groups))
        elif name in specs and not specs[name].merged_by_part:
            mine = replace(mine, **{name: getattr(theirs, name)})
        else:
            mine = _take_label(mine, theirs, name)
    return mine


def _take_label(mine: HeadAnnotation, theirs: HeadAnnotation, feature: str) -> HeadAnnotation:
    label = next((label for label in theirs.labels if str(label.feature) == feature), None)
    if label is None:
        return mine
    if label.group is not None:
        mine = add_group(mine, label.group)
        group = group_named(mine, label.group)
        label = replace(label, group=group.name if group else label.group)
    labels = (label if old.feature == label.feature else old for old in mine.labels)
    return replace(mine, labels=tuple(labels))


# Versions of a record and the version that each restored, None for an edit.
Line = Mapping[int, int | None]


def undo_target(versions: Line) -> int | None:
    """The version that undo restores: what the newest grew from, seen through restorations; None at the first."""
    line, place = _line(versions)
    return line[place + 1] if place + 1 < len(line) else None


def redo_target(versions: Line) -> int | None:
    """The version that redo restores: the one that the last undo left; None where the newest is no restoration."""
    line, place = _line(versions)
    return line[place - 1] if place > 0 else None


def _line(versions: Line) -> tuple[list[int], int]:
    """The edits that led to the last real edit, newest first, and where the record stands among them."""

    def edit(version: int) -> int:
        while (restored := versions.get(version)) is not None and restored in versions:
            version = restored
        return version

    newest = max(versions, default=0)
    last = newest
    while versions.get(last) is not None:
        last -= 1
    line: list[int] = []
    version = last
    while version in versions and version not in line:
        line.append(version)
        version = edit(version - 1)
    here = edit(newest)
    return line, line.index(here) if here in line else 0
