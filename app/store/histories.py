"""The revisions of one record, newest first and a part at a time."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.annotations.records import Revision, Subject
from app.store.annotations import is_about
from app.store.revisions import REVISIONS, read_revisions
from app.store.tables.annotations import RevisionRow


@dataclass(frozen=True)
class HistoryRange:
    """Which revisions of a record: at most `limit`, of versions below `below` (None: from the newest on)."""

    below: int | None = None
    limit: int | None = None


WHOLE = HistoryRange()


@dataclass(frozen=True)
class HistoryPart:
    """Some revisions of a record, newest first, and where they stand among all of the record.

    preceding: the revision before the last of these. total: how many the record has. newest: the version of the
    newest. newer: the `below` of the part that ends where this one begins; None at the newest.
    """

    revisions: tuple[Revision, ...] = ()
    preceding: Revision | None = None
    total: int = 0
    newest: int = 0
    newer: int | None = None

    @property
    def older(self) -> int | None:
        """The `below` of the next older part; None if this one holds the oldest."""
        return self.revisions[-1].version if self.preceding and self.revisions else None


def read_history(
    session: Session,
    atlas_id: int,
    subject: Subject,
    annotator_id: int,
    part: HistoryRange,
    with_drafts: bool,
) -> HistoryPart:
    """A part of the history of one record. with_drafts: whether drafts are included."""
    of = [is_about(atlas_id, subject), RevisionRow.annotator_id == annotator_id]
    if not with_drafts:
        of.append(RevisionRow.status != "draft")
    total, newest = session.execute(select(func.count(), func.max(RevisionRow.version)).where(*of)).one()
    query = REVISIONS.where(*of).order_by(RevisionRow.version.desc())
    newer = None
    if part.below is not None:
        query = query.where(RevisionRow.version < part.below)
        above = select(RevisionRow.version).where(*of, RevisionRow.version >= part.below)
        nearest = session.scalars(above.order_by(RevisionRow.version).limit((part.limit or 0) + 1)).all()
        if nearest:
            newer = nearest[-1] if part.limit and len(nearest) > part.limit else newest + 1
    if part.limit is not None:
        query = query.limit(part.limit + 1)
    revisions = read_revisions(session, query)
    end = len(revisions) if part.limit is None else part.limit
    return HistoryPart(tuple(revisions[:end]), next(iter(revisions[end:]), None), total, newest or 0, newer)
