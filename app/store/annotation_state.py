"""What tells one state of an atlas's annotations from another, and what was added since."""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from app.domain.annotations.records import Revision
from app.store.annotations import ATLAS_ID
from app.store.revisions import REVISIONS, read_revisions
from app.store.tables.annotations import AnnotatorRow, RevealedHintRow, RevisionRow


@dataclass(frozen=True)
class AnnotationState:
    """What tells one state of an atlas's annotations from another, as far as one annotator sees it.

    newest: the id of the newest revision. revealed: how many hints were revealed to the annotator.
    """

    newest: int
    n_revisions: int
    revealed: int
    people: tuple[tuple[object, ...], ...]

    def same_records(self, other: "AnnotationState") -> bool:
        """Whether the records are the same in both states."""
        return (self.newest, self.n_revisions, self.people) == (other.newest, other.n_revisions, other.people)


_ATLAS_ID = ATLAS_ID.scalar_subquery()
# Every request asks this: it is put together once.
_STATE = select(
    select(func.max(RevisionRow.id)).where(RevisionRow.atlas_id == _ATLAS_ID).scalar_subquery(),
    select(func.count()).where(RevisionRow.atlas_id == _ATLAS_ID).scalar_subquery(),
    select(func.count())
    .where(RevealedHintRow.atlas_id == _ATLAS_ID, RevealedHintRow.annotator_id == bindparam("annotator_id"))
    .scalar_subquery(),
    *(AnnotatorRow.id, AnnotatorRow.name, AnnotatorRow.role, AnnotatorRow.removed_at),
).order_by(AnnotatorRow.id)


def annotation_state(session: Session, slug: str, annotator_id: int) -> AnnotationState:
    """The state of the atlas's annotations; one query."""
    rows = session.execute(_STATE, {"slug": slug, "annotator_id": annotator_id}).all()
    if not rows:  # nobody has written anything yet
        return AnnotationState(0, 0, 0, ())
    newest, n_revisions, revealed = rows[0][:3]
    return AnnotationState(newest or 0, n_revisions, revealed, tuple(tuple(row[3:]) for row in rows))


_AFTER = REVISIONS.where(
    RevisionRow.atlas_id == bindparam("atlas_id"), RevisionRow.id > bindparam("row_id")
).order_by(RevisionRow.id)


def revisions_after(session: Session, atlas_id: int, row_id: int) -> list[Revision]:
    """The revisions with a larger id than this, in order of their ids."""
    return read_revisions(session, _AFTER, {"atlas_id": atlas_id, "row_id": row_id})
