"""Page dataclasses of annotation: the panel beside a head, its records, and their history."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.names import normalised
from app.domain.annotations.records import FeatureNote, Group, HeadAnnotation, Status
from app.domain.annotations.roles import Abstraction, Family
from app.domain.records import Ranking
from app.domain.refs import ExampleRef, FeatureRef, HeadRef, LabelledRef
from app.services.annotations.hints import FeatureSuggestion
from app.services.annotations.next_heads import NextHead
from app.services.examples.models import Align
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class AnnotationRecord:
    """One annotator's record of a head."""

    annotator: Annotated[str, "Whose record it is"]
    author: Annotated[str, "Who saved it"]
    version: Annotated[int, "Its version, from 1"]
    status: Annotated[Status, "draft, submitted, unsure or skipped"]
    saved_at: Annotated[str, "When it was saved, UTC"]
    blind: Annotated[bool, "Whether it was saved before others' records could be seen"]
    restored_from: Annotated[int | None, "The version that this one restored"]
    run: Annotated[str, "Fingerprint of the run that the annotator was looking at"]
    sae: Annotated[
        str, "Checksum of the SAE that its labels and groups belong to; empty if the layer had none"
    ]
    software: Annotated[str, "Version of the software"]
    given_by_sheet: Annotated[
        bool, "Whether its time, run and software version were taken from an imported sheet"
    ]
    head_type: Annotated[
        HeadType | None, "The override, or what the groups give; null where nothing is labelled"
    ]
    provisional: Annotated[bool, "Whether features without a label may still change the type"]
    content: Annotated[HeadAnnotation, "What the annotator says"]

    @property
    def members(self) -> tuple[tuple[Group, tuple[LabelledRef, ...]], ...]:
        """Each group with what is in it, strongest first; what is unclear comes last, under an empty name."""
        labels = self.content.labels
        named = tuple(
            (group, tuple(label.feature for label in labels if label.group == group.name))
            for group in self.content.groups
        )
        unclear = tuple(label.feature for label in labels if label.unclear)
        return (*named, (Group(""), unclear)) if unclear else named


@dataclass(frozen=True)
class HeadRecordsPage:
    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    annotator: Annotated[str, "Who is looking"]
    record: Annotated[AnnotationRecord | None, "Their own record; null before the first save"]
    others: Annotated[tuple[AnnotationRecord, ...], "Others' records, as far as they may be seen"]
    others_open: Annotated[bool, "Whether others' records may be seen: in blind mode only after submitting"]
    novel: Annotated[tuple[str, ...], "Groups of the record that no earlier head of this annotator has"]


@dataclass(frozen=True)
class GroupSlot:
    """A numbered group of the form: one of the record, or one offered from the vocabulary."""

    number: int
    name: str
    family: Family
    abstraction: Abstraction | None
    count: int
    offered: bool


@dataclass(frozen=True)
class RoleChoice:
    name: str
    code: str
    key: str
    meaning: str
    chosen: bool
    suggested: tuple[int, int] | None


@dataclass(frozen=True)
class EvidenceView:
    """A piece of evidence, with the words that describe it and the feature that it links to."""

    kind: str
    target: str
    note: str
    words: str
    feature: FeatureRef | None


@dataclass(frozen=True)
class ClashView:
    """A field that two saves changed differently, both in words."""

    field: str
    words: str
    mine: str
    theirs: str


@dataclass(frozen=True)
class Hint:
    """What a published source says about a head."""

    roles: tuple[str, ...]
    head_type: HeadType | None
    note: str
    caveat: str
    source: str
    agrees: bool | None


@dataclass(frozen=True)
class RecordState:
    """Facts derived from a record: its type, its counts, what would change the type, and possible steps."""

    saved_at: str | None
    computed: HeadType | None
    counts: str
    changes: tuple[str, ...]
    n_grouped: int
    n_counted: int
    novel: tuple[str, ...]
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True)
class GroupOfOthers:
    """A group that other annotators put a feature into, with their names. An empty name means unclear."""

    name: str
    family: Family
    annotators: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """The annotation form beside a head, with everything it shows; part of the HTML page, not of its JSON."""

    annotator: str
    may_write: bool
    content: HeadAnnotation
    version: int
    status: Status
    state: RecordState
    slots: tuple[GroupSlot, ...]
    labels: dict[LabelledRef, str]  # the number of a slot, unclear, or empty
    accepted: frozenset[LabelledRef]
    unshown: tuple[tuple[LabelledRef, str], ...]  # labels that the page has no row for
    counted: tuple[LabelledRef, ...]
    roles: tuple[RoleChoice, ...]
    evidence: tuple[EvidenceView, ...]
    vocabulary: tuple[str, ...]
    suggestions: Mapping[LabelledRef, FeatureSuggestion]
    from_labels: dict[FeatureRef, str]
    others: tuple[AnnotationRecord, ...]
    others_open: bool
    has_hints: bool
    hint: Hint | None
    hint_open: bool
    older_run: str | None  # the run it was made against, where it is not this one
    sae: str  # checksum of the layer's SAE; empty where it has none
    following: NextHead | None
    look: HeadRef | None  # the head, where it is looked at for the second time: nothing of the first is shown
    of_other_sae: AnnotationRecord | None  # the record, where it was made on another SAE of the layer
    message: str = ""
    clashes: tuple[ClashView, ...] | None = None  # of a conflict; empty where the merge needs no choice

    @property
    def of_examples(self) -> bool:
        """Whether examples are labelled, from which no type follows."""
        return any(isinstance(each, ExampleRef) for each in self.counted)

    @property
    def bar(self) -> tuple[tuple[Family | None, int], ...]:
        """(family, number of features) of each group among the counted features, largest first.

        Each feature without a group follows as a part of its own, without a family. Empty if nothing is
        labelled.
        """
        values = [self.labels.get(feature, "") for feature in self.counted]
        sizes = Counter(value for value in values if value.isdecimal())
        order = sorted(sizes.items(), key=lambda item: (-item[1], int(item[0])))
        parts: list[tuple[Family | None, int]] = [
            (self.slots[int(value) - 1].family, n) for value, n in order
        ]
        parts += [(None, 1)] * (len(values) - sum(sizes.values()))
        return tuple(parts) if any(values) else ()

    @property
    def suggestions_sent(self) -> str:
        """The suggestions as the form sends them back when all are accepted."""
        return ";".join(f"{feature} {each.group}" for feature, each in self.suggestions.items())

    def slot_of(self, feature: LabelledRef) -> GroupSlot | None:
        value = self.labels.get(feature, "")
        return self.slots[int(value) - 1] if value.isdecimal() else None

    def groups_of_others(self, feature: LabelledRef) -> tuple[GroupOfOthers, ...]:
        """Groups that others' records put the feature into, in the order of the records."""
        groups: dict[str, GroupOfOthers] = {}
        for record in self.others:
            for group, members in record.members:
                if feature in members:
                    key = normalised(group.name)
                    names = groups[key].annotators if key in groups else ()
                    first = groups.get(key, GroupOfOthers(group.name, group.family, ()))
                    groups[key] = replace(first, annotators=(*names, record.annotator))
        return tuple(groups.values())


@dataclass(frozen=True)
class Change:
    """One field that a revision changed."""

    field: Annotated[str, "What changed, in words"]
    before: Annotated[str, "Its value before, in words"]
    after: Annotated[str, "Its value in this version"]


@dataclass(frozen=True)
class HistoryEntry:
    record: Annotated[AnnotationRecord, "The revision"]
    changes: Annotated[tuple[Change, ...], "What it changed of the version before"]


@dataclass(frozen=True)
class HistoryPage:
    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    annotator: Annotated[str, "Whose record it is"]
    own: Annotated[bool, "Whether it is the viewer's own, and versions of it can be restored"]
    entries: Annotated[tuple[HistoryEntry, ...], "Its revisions, newest first; at most 25"]
    n_revisions: Annotated[int, "How many there are altogether"]
    newest: Annotated[int, "The newest version; 0 where there is none"]
    newer: Annotated[int | None, "`below` of the revisions just above these; null at the newest"]
    older: Annotated[int | None, "`below` of the revisions that go on from here; null at the end"]
    rank: Annotated[Ranking, "How the head's page is ranked that leads here", HTML_ONLY] = "decoder_weight"
    k: Annotated[int, "How many features it shows", HTML_ONLY] = 10
    align: Annotated[Align, "What it aligns by", HTML_ONLY] = "prefix"
    look: Annotated[HeadRef | None, "The head, where it is of a second look", HTML_ONLY] = None


@dataclass(frozen=True)
class NoteView:
    """One annotator's label and note of a feature."""

    annotator: Annotated[str, "Whose it is"]
    version: Annotated[int, "Its version, from 1"]
    saved_at: Annotated[str, "When it was saved, UTC"]
    content: Annotated[FeatureNote, "Label and note"]


@dataclass(frozen=True)
class FeatureUse:
    """Where an annotation of a head uses a feature: in one of its groups, as evidence, or both."""

    head: Annotated[HeadRef, "The head that is annotated"]
    annotator: Annotated[str, "Whose record it is"]
    group: Annotated[str | None, "The group that the feature is in; null where it is in none"]
    unclear: Annotated[bool, "Whether the record calls it unclear"]
    cited: Annotated[tuple[str, ...], "What each citation of one of its examples is to show"]


@dataclass(frozen=True)
class NotesPage:
    model: Annotated[str, "The atlas"]
    feature: Annotated[FeatureRef, "The feature"]
    annotator: Annotated[str, "Who is looking"]
    own: Annotated[NoteView | None, "Their own label and note; null before the first save"]
    others: Annotated[tuple[NoteView, ...], "Others', as far as they may be seen"]
    others_open: Annotated[bool, "Whether others' may be seen: in blind mode only after saving one's own"]
    used: Annotated[tuple[FeatureUse, ...], "Records of heads that use it, as far as they may be seen"]


@dataclass(frozen=True)
class NotesPanel:
    """The form for a feature's label and note."""

    notes: NotesPage
    may_write: bool
    content: FeatureNote
    version: int
    message: str = ""
    theirs: FeatureNote | None = None
