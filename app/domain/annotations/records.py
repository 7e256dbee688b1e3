"""What one annotator says about a head or a feature, and what makes it acceptable."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, get_args

from app.domain.annotations.fields import FieldSpec, field_specs
from app.domain.annotations.head_types import HEAD_TYPES, HeadType, Label, Mark, TypeFromGroups, classify
from app.domain.annotations.names import normalised
from app.domain.annotations.note_text import check_name, check_text
from app.domain.annotations.roles import ABSTRACTIONS, FAMILIES, Abstraction, Family, find_role
from app.domain.records import RANKINGS, Ranking
from app.domain.refs import ExampleRef, FeatureRef, HeadRef, LabelledRef
from app.errors import AppError

Status = Literal["draft", "submitted", "unsure", "skipped"]
STATUSES: tuple[Status, ...] = get_args(Status)
KnewBefore = Literal["no", "partly", "yes"]
KNEW_BEFORE: tuple[KnewBefore, ...] = get_args(KnewBefore)
EvidenceKind = Literal["example", "feature", "score", "experiment"]
EVIDENCE_KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)
DEFAULT_K = 10
MAX_LABELS = 100
MAX_LINKS = 50
# A form names the version that it was filled from. What is imported may begin far below, so that saves can go on.
MAX_VERSION, MAX_IMPORTED_VERSION = 10**9, 10**6
CONFIDENCES = range(1, 6)


class InvalidAnnotation(AppError):
    """The annotation contradicts itself or names what is not there."""

    status_code = 422


@dataclass(frozen=True)
class Group:
    """A group of features. Names are free; two that differ only in case, hyphens or spaces are one."""

    name: str
    family: Family = "unclear"
    abstraction: Abstraction | None = None


@dataclass(frozen=True)
class FeatureLabel:
    """A feature's label: the name of its group, unclear, or neither yet. `suggested`: accepted from a suggestion.

    Where a layer has no SAE, it is the label of an example of what the head attends to.
    """

    feature: LabelledRef
    group: str | None = None
    unclear: bool = False
    suggested: bool = False

    @property
    def label(self) -> Label:
        return Mark.UNCLEAR if self.unclear else Mark.UNLABELLED if self.group is None else self.group


@dataclass(frozen=True)
class EvidenceLink:
    """What a claim rests on: an example (L5F7:sequence:position), a feature, a score, or an experiment's id.

    A score is its name, with the number and the beginning of its run's fingerprint (name:value:run) since it has them.
    """

    kind: EvidenceKind
    target: str
    note: str = ""


@dataclass(frozen=True)
class HeadAnnotation:
    """One annotator's view of one head. `labels` are the features that were shown, strongest first."""

    groups: Annotated[
        tuple[Group, ...],
        FieldSpec("json", 2, "groups", "Judgement", "top k", merged_by_part=True, part_words="group"),
    ] = ()
    labels: Annotated[
        tuple[FeatureLabel, ...], FieldSpec("json", 3, "labels", "Groups", merged_by_part=True)
    ] = ()
    ranking: Annotated[Ranking, FieldSpec("text", 11, "ranking", "Groups")] = "decoder_weight"
    k: Annotated[int, FieldSpec("number", 12, "features counted", "Groups", "k")] = DEFAULT_K
    roles: Annotated[
        tuple[str, ...],
        FieldSpec("names", 1, "roles", "Judgement", merged_by_part=True, part_words="role"),
    ] = ()
    override: Annotated[
        HeadType | None,
        FieldSpec("choice", 4, "head type, overridden", "Judgement", "override", HEAD_TYPES, "head type"),
    ] = None
    override_reason: Annotated[
        str, FieldSpec("text", 5, "reason for the override", "Judgement", "override reason")
    ] = ""
    confidence: Annotated[
        int | None, FieldSpec("optional_number", 6, "confidence", "About it", "conf.", personal=True)
    ] = None
    knew_before: Annotated[
        KnewBefore | None,
        FieldSpec(
            "choice",
            7,
            "knew it before",
            "About it",
            "knew",
            choices=KNEW_BEFORE,
            choice_name="answer to 'knew it before'",
            personal=True,
        ),
    ] = None
    surprising: Annotated[bool, FieldSpec("flag", 8, "surprising", "About it")] = False
    notes: Annotated[str, FieldSpec("text", 9, "notes", "About it")] = ""
    evidence: Annotated[
        tuple[EvidenceLink, ...],
        FieldSpec("json", 10, "evidence", "Evidence", merged_by_part=True, part_words="evidence"),
    ] = ()

    @cached_property
    def computed(self) -> TypeFromGroups:
        """The head type that the groups of the top k give. Worked out once: pages ask many times.

        Groups of examples give none.
        """
        counts = classify([label.label for label in self.labels], self.k)
        return replace(counts, head_type=None) if self.of_examples else counts

    @property
    def of_examples(self) -> bool:
        """Whether the labels are of examples: then the head type is the annotator's to choose."""
        return any(isinstance(label.feature, ExampleRef) for label in self.labels[: self.k])

    @property
    def head_type(self) -> HeadType | None:
        """The override, or what the groups give; None where nothing is labelled."""
        return self.override or self.computed.head_type

    @property
    def provisional(self) -> bool:
        return self.override is None and self.computed.provisional


@dataclass(frozen=True)
class FeatureNote:
    """One annotator's short label and note of one feature."""

    label: Annotated[str, FieldSpec("text", 1, "label")] = ""
    note: Annotated[str, FieldSpec("text", 2, "note")] = ""


Content = HeadAnnotation | FeatureNote


@dataclass(frozen=True)
class Subject:
    """What an annotation is about. Features belong to an SAE (its checksum), heads to the model alone.

    second: of a head, the annotator's second look at it, blind to their first: a record of its own.
    """

    ref: HeadRef | FeatureRef
    sae: str = ""
    second: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.ref, FeatureRef) != bool(self.sae):
            raise ValueError(f"{self.ref}: a feature needs its SAE, and a head has none")
        if self.second and isinstance(self.ref, FeatureRef):
            raise ValueError(f"{self.ref}: only heads are looked at twice")


@dataclass(frozen=True)
class Against:
    """What the annotator was looking at: run, SAE and version of the software."""

    run: str
    sae: str
    software: str


@dataclass(frozen=True)
class Revision:
    """One stored state of one annotator's record; the newest of its subject is the record."""

    subject: Subject
    annotator: str
    author: str  # who saved it; differs from the annotator for consensus and imports
    version: int
    status: Status
    content: Content
    against: Against
    created_at: datetime
    blind: bool = False  # saved before the others' records could be seen
    restored_from: int | None = None
    imported_at: datetime | None = None
    given_by_sheet: bool = False  # time, run, SAE and software are what an imported sheet says

    @property
    def head(self) -> HeadAnnotation:
        """The content of a head's record. Raises TypeError for a feature's."""
        if not isinstance(self.content, HeadAnnotation):
            raise TypeError(f"{self.subject.ref} is not a head")
        return self.content


def check_content(content: Content, subject: Subject) -> None:
    """Check what an annotator says. Raises InvalidAnnotation, InvalidText, TextTooLong or UnknownRole."""
    if isinstance(content, HeadAnnotation) != isinstance(subject.ref, HeadRef):
        raise InvalidAnnotation(f"{subject.ref} cannot have a {type(content).__name__}")
    if isinstance(content, FeatureNote):
        if content.label:
            check_name(content.label, "the label")
        check_text(content.note, "the note")
        return
    _check_declared(content)
    _check_groups(content)
    _check_labels(content, subject.ref)
    _check_judgement(content)
    _check_evidence(content)


def _check_declared(content: HeadAnnotation) -> None:
    """Check what the declaration of a field says of its values: texts that can be stored, one of the choices."""
    for name, spec in field_specs(HeadAnnotation).items():
        value = getattr(content, name)
        if spec.kind == "text":
            check_text(value, f"the {spec.words}")
        if spec.kind == "choice" and value is not None:
            _one_of(value, spec.choices, spec.choice_name)


def _check_groups(content: HeadAnnotation) -> None:
    seen: dict[str, str] = {}
    _at_most(len(content.groups), MAX_LABELS, "groups")
    for group in content.groups:
        check_name(group.name, "the name of a group")
        _one_of(group.family, FAMILIES, "family")
        if group.abstraction is not None:
            _one_of(group.abstraction, ABSTRACTIONS, "level of abstraction")
        key = normalised(group.name)
        if key in seen:
            raise InvalidAnnotation(f"the groups {seen[key]!r} and {group.name!r} have the same name")
        seen[key] = group.name


def _check_labels(content: HeadAnnotation, head: HeadRef | FeatureRef) -> None:
    _at_most(len(content.labels), MAX_LABELS, "labels")
    groups = {group.name for group in content.groups}
    seen: set[LabelledRef] = set()
    for label in content.labels:
        if label.feature in seen:
            raise InvalidAnnotation(f"{label.feature} is labelled twice")
        if isinstance(label.feature, ExampleRef) and label.feature.head_ref != head:
            raise InvalidAnnotation(f"{label.feature} is not an example of {head}")
        if label.feature.layer != head.layer:
            raise InvalidAnnotation(f"{label.feature} is not a feature of layer {head.layer}")
        if label.unclear and label.group is not None:
            raise InvalidAnnotation(f"{label.feature} cannot be both in a group and unclear")
        if label.group is not None and label.group not in groups:
            raise InvalidAnnotation(
                f"{label.feature} is in {label.group[:60]!r}, which is not among the groups"
            )
        seen.add(label.feature)


def _check_judgement(content: HeadAnnotation) -> None:
    _one_of(content.ranking, RANKINGS, "ranking")
    if not 1 <= content.k <= MAX_LABELS:
        raise InvalidAnnotation(f"k is {content.k}, but must be from 1 to {MAX_LABELS}")
    names = [find_role(role).name for role in content.roles]
    if sorted(set(names)) != sorted(names):
        raise InvalidAnnotation("a role is given twice")
    if content.override is not None and not content.override_reason.strip():
        raise InvalidAnnotation("a head type that overrides the groups needs a reason")
    if content.confidence is not None and content.confidence not in CONFIDENCES:
        raise InvalidAnnotation(f"confidence is {content.confidence}, but must be from 1 to 5")


def _check_evidence(content: HeadAnnotation) -> None:
    _at_most(len(content.evidence), MAX_LINKS, "pieces of evidence")
    for link in content.evidence:
        _one_of(link.kind, EVIDENCE_KINDS, "kind of evidence")
        check_name(link.target, "the target of a piece of evidence")
        check_text(link.note, "the note of a piece of evidence", 4096)


def _one_of(value: str, choices: tuple[str, ...], name: str) -> None:
    if value not in choices:
        raise InvalidAnnotation(f"{value[:60]!r} is an unknown {name}; choose from {', '.join(choices)}")


def _at_most(n: int, limit: int, name: str) -> None:
    if n > limit:
        raise InvalidAnnotation(f"{n} {name} are too many; {limit} is the limit")
