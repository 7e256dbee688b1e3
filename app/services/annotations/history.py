"""The history of one record of a head: every revision with what it changed."""

from sqlalchemy.orm import Session

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations import saving
from app.services.annotations.models import HistoryEntry, HistoryPage
from app.services.annotations.record_words import changes, record_view
from app.services.reading.visibility import Viewer
from app.store.annotators import find_annotator
from app.store.atlas.reads import LiveRun


def history_page(
    session: Session, run: LiveRun, viewer: Viewer, head: HeadRef, annotator: str | None
) -> HistoryPage:
    """The viewer's own record, or another's. Raises NotFound where it is hidden or nobody has that name."""
    owner = annotator or viewer.name
    saving.subject_of(run, head)
    nobody_yet = owner == viewer.name and find_annotator(session, owner) is None
    revisions = [] if nobody_yet else saving.history(session, run, viewer, head, owner)
    before = [revision.head for revision in revisions[1:]] + [HeadAnnotation()]
    return HistoryPage(
        model=run.slug,
        head=head,
        annotator=owner,
        own=owner == viewer.name and viewer.may_write,
        entries=tuple(
            HistoryEntry(record_view(revision), changes(old, revision.head))
            for revision, old in zip(revisions, before, strict=False)
        ),
    )
