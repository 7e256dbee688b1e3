"""Short labels and notes of features, beside the feature's page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from app.domain.annotations.records import FeatureLabel, FeatureNote, HeadAnnotation, Revision, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations import saving
from app.services.annotations.edits import derived_key
from app.services.annotations.head_records import records_of
from app.services.annotations.models import FeatureUse, NotesPage, NotesPanel
from app.services.annotations.record_words import evidence_view, note_view
from app.services.annotations.sae_of_record import is_of_other_sae
from app.services.annotations.saving import Save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import is_open


@dataclass(frozen=True)
class NoteAttempt:
    """A note that was not saved, why, and the stored text it conflicts with."""

    content: FeatureNote
    base_version: int
    message: str
    theirs: FeatureNote | None = None


def save_note(
    context: AtlasContext,
    feature: FeatureRef,
    note: FeatureNote,
    base_version: int,
    now: datetime,
) -> Revision:
    """Save a feature's label and note; they have no drafts, so others see them at once.

    Raises whatever `services.annotations.save` does.
    """
    key = derived_key(base_version, "submitted", note)
    request = Save(feature, note, base_version, key, "submitted")
    return saving.save(context, request, now).revision


def notes_page(context: AtlasContext, feature: FeatureRef) -> NotesPage:
    """Labels and notes of a feature, and records of heads that use it, as far as the viewer may see them.

    Raises NotFound for a feature that the atlas does not have.
    """
    subject = saving.subject_of(context.run, feature)
    heads = (HeadRef(feature.layer, head) for head in range(context.run.record.model.n_heads))
    subjects = (subject, *map(Subject, heads))
    records = [
        record for each in subjects for record in records_of(context, each.ref) if record.subject == each
    ]
    views = [note_view(record) for record in records if record.subject == subject]
    of_this_sae = [record for record in records if not is_of_other_sae(context.run, record)]
    return NotesPage(
        model=context.run.slug,
        feature=feature,
        annotator=context.viewer.name,
        own=next((view for view in views if view.annotator == context.viewer.name), None),
        others=tuple(view for view in views if view.annotator != context.viewer.name),
        others_open=is_open(context.session, context.atlas_id, context.viewer, subject),
        used=tuple(sorted(_uses(of_this_sae, feature), key=lambda use: (use.head, use.annotator))),
    )


def _uses(records: Iterable[Revision], feature: FeatureRef) -> Iterator[FeatureUse]:
    for record in records:
        if not isinstance(record.content, HeadAnnotation) or not isinstance(record.subject.ref, HeadRef):
            continue
        labels = record.content.labels
        label = next((label for label in labels if label.feature == feature), FeatureLabel(feature))
        links = record.content.evidence
        cited = tuple(link.note for link in links if evidence_view(link).feature == feature)
        if label.group is not None or label.unclear or cited:
            yield FeatureUse(record.subject.ref, record.annotator, label.group, label.unclear, cited)


def notes_panel(context: AtlasContext, feature: FeatureRef, attempt: NoteAttempt | None = None) -> NotesPanel:
    """The note form, pre-filled from the store or from a failed save."""
    notes = notes_page(context, feature)
    own = notes.own
    content = attempt.content if attempt else own.content if own else FeatureNote()
    return NotesPanel(
        notes=notes,
        may_write=context.viewer.may_write,
        content=content,
        version=attempt.base_version if attempt else own.version if own else 0,
        message=attempt.message if attempt else "",
        theirs=attempt.theirs if attempt else None,
    )
