"""The history of one record of a head: every revision with what it changed."""

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations import saving
from app.services.annotations.models import HistoryEntry, HistoryPage
from app.services.annotations.record_words import changes, record_view
from app.services.reading.context import AtlasContext
from app.store.annotators import find_annotator
from app.store.histories import HistoryPart, HistoryRange

N_REVISIONS = 25  # on one page


def history_page(
    context: AtlasContext, head: HeadRef, annotator: str | None, below: int | None = None
) -> HistoryPage:
    """The history of the record of `annotator`, by default the viewer's own: the newest, or those below a version.

    Raises NotFound if the record is hidden or there is no such annotator.
    """
    owner = annotator or context.viewer.name
    saving.subject_of(context.run, head)
    nobody_yet = owner == context.viewer.name and find_annotator(context.session, owner) is None
    part = (
        HistoryPart()
        if nobody_yet
        else saving.history(context, head, owner, HistoryRange(below, N_REVISIONS))
    )
    first = part.preceding.head if part.preceding else HeadAnnotation()
    before = [*(revision.head for revision in part.revisions[1:]), first]
    return HistoryPage(
        model=context.run.slug,
        head=head,
        annotator=owner,
        own=owner == context.viewer.name and context.viewer.may_write,
        entries=tuple(
            HistoryEntry(record_view(revision), changes(old, revision.head))
            for revision, old in zip(part.revisions, before, strict=False)
        ),
        n_revisions=part.total,
        newest=part.newest,
        newer=part.newer,
        older=part.older,
    )
