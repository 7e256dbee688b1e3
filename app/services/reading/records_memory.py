"""The current records of atlases in memory: after a save, only what is new is read."""

from threading import Lock

from app.domain.annotations.records import Revision
from app.store.annotation_state import AnnotationState, revisions_after
from app.store.annotations import current_records_and_second_looks, in_order
from app.store.database.engine import Session, only_reads


class RecordsMemory:
    """The newest revision of every record and second look, of each atlas in its last state."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[AnnotationState, list[Revision]]] = {}
        self._lock = Lock()

    def records(self, session: Session, atlas_id: int, state: AnnotationState) -> list[Revision]:
        """The records in this state, which was read in the same transaction; in order."""
        with self._lock:
            kept = self._kept.get(atlas_id)
        if kept is not None and kept[0].same_records(state):
            return kept[1]
        records = _renewed(session, atlas_id, *kept, state) if kept else None
        if records is None:
            records = current_records_and_second_looks(session, atlas_id)
        # What a transaction has written itself may never be committed.
        if only_reads(session):
            with self._lock:
                self._kept[atlas_id] = state, records
        return records


def _renewed(
    session: Session, atlas_id: int, before: AnnotationState, records: list[Revision], now: AnnotationState
) -> list[Revision] | None:
    """The records of an earlier state brought up to date; None where names have changed, or older rows have come."""
    if before.people != now.people or before.newest > now.newest:
        return None
    added = revisions_after(session, atlas_id, before.newest)
    # Two that save at once on Postgres may commit in the other order than that of their ids.
    if before.n_revisions + len(added) != now.n_revisions:
        return None
    newest = {(record.subject, record.annotator): record for record in added}
    kept = [record for record in records if (record.subject, record.annotator) not in newest]
    return in_order([*kept, *newest.values()])
