"""Stored records in the words of the pages: revisions, evidence, conflicts and changes."""

from typing import cast

from app.domain.annotations.fields import field_specs
from app.domain.annotations.head_types import HEAD_TYPE_NAMES
from app.domain.annotations.merging import Clash
from app.domain.annotations.records import (
    EvidenceLink,
    FeatureLabel,
    FeatureNote,
    Group,
    HeadAnnotation,
    Revision,
)
from app.domain.refs import FeatureRef, InvalidReference
from app.services.annotations.models import AnnotationRecord, Change, ClashView, EvidenceView, NoteView

_RANKING_WORDS: dict[str, str] = {"decoder_weight": "decoder weight", "fve": "FVE"}
NOTHING, NO_LABEL = "nothing", "no label"  # how changes() says what is not there
# How a piece of evidence is called, by what its target names.
EVIDENCE_WORDS = {
    "cited_example": "F{index}, text {sequence} at {position}",
    "cited_feature": "F{index}",
    "cited_score": "{name} score {value} of run {run}",
    "cited_other": "{kind} {target}",
}
Parts = tuple[object, ...]


def record_view(revision: Revision) -> AnnotationRecord:
    content = revision.head
    return AnnotationRecord(
        annotator=revision.annotator,
        author=revision.author,
        version=revision.version,
        status=revision.status,
        saved_at=saved_at(revision),
        blind=revision.blind,
        restored_from=revision.restored_from,
        run=revision.against.run,
        sae=revision.against.sae,
        software=revision.against.software,
        given_by_sheet=revision.given_by_sheet,
        head_type=content.head_type,
        provisional=content.provisional,
        content=content,
    )


def saved_at(revision: Revision) -> str:
    return revision.created_at.isoformat(timespec="seconds")


def note_view(revision: Revision) -> NoteView:
    content = revision.content if isinstance(revision.content, FeatureNote) else FeatureNote()
    return NoteView(revision.annotator, revision.version, saved_at(revision), content)


def evidence_view(link: EvidenceLink) -> EvidenceView:
    """An evidence link as pages show it: `L5F7:sequence:position` and `score:value:run` in words, others unchanged."""
    name, *place = link.target.split(":")
    try:
        feature = FeatureRef.parse(name) if link.kind in ("example", "feature") else None
    except InvalidReference:
        feature = None
    if feature is None:
        if link.kind == "score" and len(place) == 2:
            words = EVIDENCE_WORDS["cited_score"].format(name=name, value=place[0], run=place[1])
        else:
            words = EVIDENCE_WORDS["cited_other"].format(kind=link.kind, target=link.target)
        return EvidenceView(link.kind, link.target, link.note, words, None)
    if len(place) == 2:
        sequence, position = place
        words = EVIDENCE_WORDS["cited_example"].format(
            index=feature.index, sequence=sequence, position=position
        )
    else:
        words = EVIDENCE_WORDS["cited_feature"].format(index=feature.index)
    return EvidenceView(link.kind, link.target, link.note, words, feature)


def score_target(name: str, value: float, run: str) -> str:
    """The target of a citation of a score: its name, the number, and the beginning of the run's fingerprint."""
    return f"{name}:{value:.3g}:{run[:8]}"


def clash_view(clash: Clash) -> ClashView:
    """A conflicting field with its name and both values in words.

    A clash names a field, a feature, or `group` and the group's name; only fields have a name in words to
    look up.
    """
    spec = (field_specs(HeadAnnotation) | field_specs(FeatureNote)).get(clash.field)
    words = spec.words if spec else clash.field.replace("_", " ")
    return ClashView(
        clash.field, words, in_words(clash.field, clash.mine), in_words(clash.field, clash.theirs)
    )


def in_words(field: str, value: object) -> str:
    """A value of an annotation's field as a person reads it."""
    match value:
        case FeatureLabel():
            return "unclear" if value.unclear else value.group or NO_LABEL
        case Group():
            level = f", {value.abstraction}" if value.abstraction else ""
            return f"{value.name} ({value.family}{level})"
        case EvidenceLink():
            return f"{evidence_view(value).words}{': ' if value.note else ''}{value.note}"
        case bool():
            return "yes" if value else "no"
        case str() if field == "ranking":
            return _RANKING_WORDS.get(value, value)
        case str() if field == "override":
            return next((name for kind, name in HEAD_TYPE_NAMES.items() if kind == value), value)
        case None | "":
            return NOTHING
        case _:
            return str(value)


def changes(before: HeadAnnotation, after: HeadAnnotation) -> tuple[Change, ...]:
    """Every difference between two versions, item by item: labels by feature, groups and roles by name."""
    differences: list[Change] = []
    for name, spec in field_specs(HeadAnnotation).items():
        old, new = getattr(before, name), getattr(after, name)
        if old == new:
            continue
        if isinstance(new, tuple):
            differences.extend(_part_changes(name, cast(Parts, old), cast(Parts, new)))
        else:
            differences.append(Change(spec.words, in_words(name, old), in_words(name, new)))
    return tuple(differences)


def _part_changes(field: str, before: Parts, after: Parts) -> list[Change]:
    old, new = ({_key(part): part for part in side} for side in (before, after))
    differences: list[Change] = []
    for key in dict.fromkeys((*old, *new)):
        texts = [in_words(field, side[key]) if key in side else NOTHING for side in (old, new)]
        if field == "labels":
            texts = [NO_LABEL if text == NOTHING else text for text in texts]
        if texts[0] != texts[1]:
            differences.append(Change(f"{field_specs(HeadAnnotation)[field].part_words} {key}", *texts))
    return differences


def _key(part: object) -> str:
    match part:
        case FeatureLabel():
            return str(part.feature)
        case Group():
            return part.name
        case EvidenceLink():
            return evidence_view(part).words
        case _:
            return str(part)
