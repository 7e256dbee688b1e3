"""What a viewer may see of an atlas's annotations, read once, and what follows from it for one head."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.domain.annotations.edits import redo_target, undo_target
from app.domain.annotations.novelty import novel_groups
from app.domain.annotations.records import FeatureLabel, HeadAnnotation, Revision, Subject
from app.domain.annotations.roles import normalised
from app.domain.annotations.type_changes import changes_in_words, counts_in_words
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.models import AnnotationRecord, HeadRecordsPage, RecordState
from app.services.annotations.record_words import record_view, saved_at
from app.services.reading.visibility import Viewer, is_open, visible_records
from app.store import annotations as store
from app.store.annotators import CONSENSUS, PUBLISHED
from app.store.atlas.reads import LiveRun, get_ranking


@dataclass(frozen=True)
class AnnotationSnapshot:
    """Everything of an atlas's annotations that the viewer may see, read once a page."""

    session: Session
    run: LiveRun
    viewer: Viewer
    atlas_id: int
    records: tuple[Revision, ...]

    @classmethod
    def read(cls, session: Session, run: LiveRun, viewer: Viewer) -> "AnnotationSnapshot":
        atlas_id = store.get_atlas_id(session, run.slug)
        return cls(session, run, viewer, atlas_id, tuple(visible_records(session, atlas_id, viewer)))

    def own(self, head: HeadRef) -> Revision | None:
        return next((r for r in self.of(head) if r.annotator == self.viewer.name), None)

    def of(self, head: HeadRef) -> list[Revision]:
        return [record for record in self.records if record.subject.ref == head]

    def own_heads(self) -> dict[HeadRef, Revision]:
        return {
            record.subject.ref: record
            for record in self.records
            if record.annotator == self.viewer.name and isinstance(record.subject.ref, HeadRef)
        }

    def vocabulary(self) -> list[str]:
        """Names of groups by how many heads have them, one's own first; equals by name."""
        names: dict[str, str] = {}
        own: Counter[str] = Counter()
        all_: Counter[str] = Counter()
        for record in self.records:
            if isinstance(record.content, HeadAnnotation):
                for group in record.content.groups:
                    key = normalised(group.name)
                    names.setdefault(key, group.name)
                    all_[key] += 1
                    own[key] += record.annotator == self.viewer.name
        return [names[key] for key in sorted(names, key=lambda key: (-own[key], -all_[key], key))]

    def novel(self, head: HeadRef, content: HeadAnnotation) -> tuple[str, ...]:
        """Groups of the content that no earlier head of the viewer's has."""
        groups = {ref: _used(record.head) for ref, record in self.own_heads().items() if ref < head}
        return novel_groups({**groups, head: _used(content)}).get(head, ())


def _used(content: HeadAnnotation) -> list[str]:
    return [name for name, _ in content.computed.groups]


def next_head(known: AnnotationSnapshot, after: HeadRef | None) -> HeadRef | None:
    """The next head without a settled record, round the model's layers that have an SAE. None: all are done."""
    model = known.run.record.model
    layers = sorted(sae.layer for sae in known.run.record.saes)
    heads = [HeadRef(layer, head) for layer in layers for head in range(model.n_heads)]
    settled = {ref for ref, record in known.own_heads().items() if record.status != "draft"}
    start = sum(head <= after for head in heads) if after is not None else 0
    left = [head for head in (*heads[start:], *heads[:start]) if head not in settled and head != after]
    return left[0] if left else None


def counted_features(
    session: Session, run: LiveRun, head: HeadRef, content: HeadAnnotation
) -> tuple[FeatureRef, ...]:
    """The features that the head's type is taken over, strongest first."""
    if all(sae.layer != head.layer for sae in run.record.saes):
        return ()
    ranking = get_ranking(session, run, head, content.ranking, content.k)
    return tuple(place.ref for place in ranking.features)


def with_labels(content: HeadAnnotation, counted: Sequence[FeatureRef]) -> HeadAnnotation:
    """The labels in the order that the type is taken in: the counted features, then whatever else has a label."""
    given = {label.feature: label for label in content.labels}
    top = [given.pop(feature, None) or FeatureLabel(feature) for feature in counted]
    rest = [label for label in given.values() if label.group is not None or label.unclear]
    return replace(content, labels=(*top, *rest))


def others_of(known: AnnotationSnapshot, head: HeadRef) -> tuple[AnnotationRecord, ...]:
    names = (known.viewer.name, PUBLISHED)
    records = [record for record in known.of(head) if record.annotator not in names]
    return tuple(
        record_view(r) for r in sorted(records, key=lambda r: (r.annotator != CONSENSUS, r.annotator))
    )


def record_state(
    known: AnnotationSnapshot, head: HeadRef, content: HeadAnnotation | None = None
) -> RecordState:
    """Of the stored record, or of other content in its place."""
    record = known.own(head)
    said = content or (record.head if record else HeadAnnotation())
    versions = store.versions(known.session, known.atlas_id, Subject(head), known.viewer.annotator_id)
    computed = said.computed
    return RecordState(
        saved_at=saved_at(record) if record else None,
        computed=computed.head_type,
        counts=counts_in_words(computed),
        changes=changes_in_words([label.label for label in said.labels], said.k),
        n_grouped=computed.n_features - computed.n_unlabelled,
        n_counted=computed.n_features,
        novel=known.novel(head, said),
        can_undo=undo_target(versions) is not None,
        can_redo=redo_target(versions) is not None,
        following=next_head(known, head),
    )


def head_records(session: Session, run: LiveRun, viewer: Viewer, head: HeadRef) -> HeadRecordsPage:
    """The viewer's record of a head and what they may see of others'."""
    known = AnnotationSnapshot.read(session, run, viewer)
    record = known.own(head)
    return HeadRecordsPage(
        model=run.slug,
        head=head,
        annotator=viewer.name,
        record=record_view(record) if record else None,
        others=others_of(known, head),
        others_open=is_open(session, known.atlas_id, viewer, Subject(head)),
        novel=known.novel(head, record.head) if record else (),
    )
