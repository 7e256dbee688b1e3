"""Which published hints an annotator has looked at. Nothing here commits; the session's owner does."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.refs import HeadRef
from app.store.database.inserts import insert_unless_there
from app.store.tables.annotations import RevealedHintRow


def reveal_hint(session: Session, atlas_id: int, head: HeadRef, annotator_id: int, now: datetime) -> None:
    """Record that the annotator looked; the first time counts."""
    values = {
        "atlas_id": atlas_id,
        "layer": head.layer,
        "head": head.head,
        "annotator_id": annotator_id,
        "revealed_at": now,
    }
    session.execute(insert_unless_there(session, RevealedHintRow, values))


def revealed_hints(session: Session, atlas_id: int, annotator_id: int) -> dict[HeadRef, datetime]:
    """The time of the annotator's first look at the hint of each head."""
    rows = session.scalars(
        select(RevealedHintRow).where(
            RevealedHintRow.atlas_id == atlas_id, RevealedHintRow.annotator_id == annotator_id
        )
    )
    return {HeadRef(row.layer, row.head): row.revealed_at for row in rows}
