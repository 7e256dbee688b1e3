"""Short labels and notes of features, beside the feature's page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.domain.annotations import FeatureNote, Revision
from app.domain.refs import FeatureRef
from app.services import annotations
from app.services.annotation_actions import derived_key
from app.services.annotation_views import note_view
from app.services.annotations import Save
from app.services.panel_models import NotesPage, NotesPanel
from app.services.visibility import Viewer, is_open, visible_records
from app.store.annotations import get_atlas_id
from app.store.dashboards import LiveRun


@dataclass(frozen=True)
class NoteAttempt:
    """A note that was not saved, why, and the stored text it conflicts with."""

    content: FeatureNote
    base_version: int
    message: str
    theirs: FeatureNote | None = None


def save_note(
    session: Session,
    run: LiveRun,
    viewer: Viewer,
    feature: FeatureRef,
    note: FeatureNote,
    base_version: int,
    now: datetime,
) -> Revision:
    """Notes have no drafts: saving one shows it to others. Raises what `services.annotations.save` does."""
    key = derived_key(viewer, feature, base_version, "submitted", note)
    request = Save(feature, note, base_version, key, "submitted")
    return annotations.save(session, run, viewer, request, now).revision


def notes_page(session: Session, run: LiveRun, viewer: Viewer, feature: FeatureRef) -> NotesPage:
    """Raises NotFound for a feature that the atlas does not have."""
    subject = annotations.subject_of(run, feature)
    atlas_id = get_atlas_id(session, run.slug)
    views = [note_view(record) for record in visible_records(session, atlas_id, viewer, [subject])]
    return NotesPage(
        model=run.slug,
        feature=feature,
        annotator=viewer.name,
        own=next((view for view in views if view.annotator == viewer.name), None),
        others=tuple(view for view in views if view.annotator != viewer.name),
        others_open=is_open(session, atlas_id, viewer, subject),
    )


def notes_panel(
    session: Session, run: LiveRun, viewer: Viewer, feature: FeatureRef, attempt: NoteAttempt | None = None
) -> NotesPanel:
    """The form, filled with what is stored or what could not be."""
    notes = notes_page(session, run, viewer, feature)
    own = notes.own
    content = attempt.content if attempt else own.content if own else FeatureNote()
    return NotesPanel(
        notes=notes,
        may_write=viewer.role in ("annotator", "admin"),
        content=content,
        version=attempt.base_version if attempt else own.version if own else 0,
        message=attempt.message if attempt else "",
        theirs=attempt.theirs if attempt else None,
    )
