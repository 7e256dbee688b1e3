"""The history of one record of a head: every revision with what it changed."""

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations import saving
from app.services.annotations.models import HistoryEntry, HistoryPage
from app.services.annotations.record_words import changes, record_view
from app.services.reading.context import AtlasContext
from app.store.annotators import find_annotator


def history_page(context: AtlasContext, head: HeadRef, annotator: str | None) -> HistoryPage:
    """The history of the record of `annotator`, by default the viewer's own.

    Raises NotFound if the record is hidden or there is no such annotator.
    """
    owner = annotator or context.viewer.name
    saving.subject_of(context.run, head)
    nobody_yet = owner == context.viewer.name and find_annotator(context.session, owner) is None
    revisions = [] if nobody_yet else saving.history(context, head, owner)
    before = [revision.head for revision in revisions[1:]] + [HeadAnnotation()]
    return HistoryPage(
        model=context.run.slug,
        head=head,
        annotator=owner,
        own=owner == context.viewer.name and context.viewer.may_write,
        entries=tuple(
            HistoryEntry(record_view(revision), changes(old, revision.head))
            for revision, old in zip(revisions, before, strict=False)
        ),
    )
