"""Annotations: append-only revisions. Nothing here commits; the session's owner does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, func, select, tuple_
from sqlalchemy.orm import Session

from app.domain.annotations.json_form import content_to_json
from app.domain.annotations.records import (
    Against,
    Content,
    Revision,
    Status,
    Subject,
    check_content,
)
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError, NotFound, StoreBusy
from app.store.database.inserts import insert_one_unless_there, insert_unless_there
from app.store.revisions import REVISIONS, read_revisions, subject_of
from app.store.tables.annotations import RevisionRow
from app.store.tables.atlas import AtlasRow

MAX_KEY = 100
_ROWS_PER_STATEMENT = 500


class Conflict(AppError):
    """The record has changed since the caller read it: both texts, to merge. Nothing was saved."""

    status_code = 409

    def __init__(self, mine: Content, theirs: Revision, base: Revision | None) -> None:
        super().__init__(
            f"{theirs.subject.ref} was saved as version {theirs.version} in the meantime; merge the two and save again"
        )
        self.mine = mine
        self.theirs = theirs
        self.base = base


class KeyReused(AppError):
    """An idempotency key came back with other content, so it is no retry."""

    status_code = 422


@dataclass(frozen=True)
class Draft:
    """A revision about to be saved. base_version is the version it grew from, 0 where there was none."""

    subject: Subject
    annotator_id: int
    author_id: int
    base_version: int
    idempotency_key: str
    content: Content
    against: Against
    status: Status = "draft"
    blind: bool = False
    restored_from: int | None = None
    imported_at: datetime | None = None
    first_version: int | None = None  # of an import: the version that the record had where it comes from


@dataclass(frozen=True)
class SavedRevision:
    """The stored revision; replayed where an earlier delivery of the same save had stored it."""

    revision: Revision
    replayed: bool


# What every request and every save asks is put together once.
ATLAS_ID = select(AtlasRow.id).where(AtlasRow.slug == bindparam("slug"))


def get_atlas_id(session: Session, slug: str) -> int:
    """The id of the atlas. Raises NotFound."""
    atlas_id = session.scalar(ATLAS_ID, {"slug": slug})
    if atlas_id is None:
        raise NotFound(f"no atlas {slug[:60]!r} in this store")
    return atlas_id


def save(session: Session, atlas_id: int, draft: Draft, now: datetime) -> SavedRevision:
    """Append a revision. Raises Conflict, KeyReused, or what check_content does.

    A key that the record already has with this very save gives the revision stored then. Each record has keys of
    its own: no other annotator, head or atlas can occupy one.
    """
    check_content(draft.content, draft.subject)
    key = draft.idempotency_key
    if not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise KeyReused(f"an idempotency key is 1 to {MAX_KEY} plain characters")
    values = _values(atlas_id, draft, now)
    current = newest_of(session, atlas_id, draft.subject, draft.annotator_id)
    version = current.version if current else 0
    if version == draft.base_version:
        row_id = insert_one_unless_there(session, RevisionRow, values)
        if row_id is not None:
            return SavedRevision(_read_one(session, row_id), replayed=False)
    # It was stored before, or a rival was first: with this key, or with this version.
    if replay := _replay(session, values):
        return replay
    theirs = newest_of(session, atlas_id, draft.subject, draft.annotator_id)
    if theirs is None:
        raise NotFound(f"there is no version {draft.base_version} of {draft.subject.ref} to change")
    base = (is_about(atlas_id, draft.subject), RevisionRow.annotator_id == draft.annotator_id)
    rows = read_revisions(session, REVISIONS.where(*base, RevisionRow.version == draft.base_version))
    raise Conflict(draft.content, theirs, rows[0] if rows else None)


def save_new(session: Session, atlas_id: int, drafts: Sequence[tuple[Draft, datetime]]) -> None:
    """Append many revisions, of a record each and with keys of their own, in few statements: all, or Conflict.

    Their content must have been checked. Raises Conflict, or StoreBusy where a rival saves at the same moment.
    """
    newest = (
        select(*_KEY, func.max(RevisionRow.version)).where(RevisionRow.atlas_id == atlas_id).group_by(*_KEY)
    )
    versions: dict[tuple[object, ...], int] = {tuple(row[:-1]): row[-1] for row in session.execute(newest)}
    rows = [_values(atlas_id, draft, now) for draft, now in drafts]
    for row, (draft, now) in zip(rows, drafts, strict=True):
        if versions.get(tuple(row[column.key] for column in _KEY), 0) != draft.base_version:
            save(session, atlas_id, draft, now)  # which says what is in its way
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        chunk = rows[start : start + _ROWS_PER_STATEMENT]
        statement = insert_unless_there(session, RevisionRow, chunk).returning(RevisionRow.id)
        if len(session.scalars(statement).all()) != len(chunk):
            raise StoreBusy("other people saved the same records at this moment; import the sheet again")


def _values(atlas_id: int, draft: Draft, now: datetime) -> dict[str, object]:
    first = draft.first_version if draft.base_version == 0 else None
    return {
        **_place_of(atlas_id, draft.subject),
        "annotator_id": draft.annotator_id,
        "version": first or draft.base_version + 1,
        "author_id": draft.author_id,
        "idempotency_key": draft.idempotency_key,
        "base_version": draft.base_version,
        "status": draft.status,
        "content": content_to_json(draft.content),
        "against_run": draft.against.run,
        "against_sae": draft.against.sae,
        "software": draft.against.software,
        "blind": draft.blind,
        "restored_from": draft.restored_from,
        "created_at": now,
        "imported_at": draft.imported_at,
    }


# What a retry has in common with the save of the record that it repeats: all but the clock and what was seen by then.
_SAME = ("author_id", "base_version", "status", "content")


def _replay(session: Session, values: dict[str, object]) -> SavedRevision | None:
    record = (column == values[column.key] for column in _KEY)
    query = select(RevisionRow).where(*record, RevisionRow.idempotency_key == values["idempotency_key"])
    row = session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        return None
    if any(getattr(row, name) != values[name] for name in _SAME):
        raise KeyReused("this idempotency key belongs to another save of this record; reload the form")
    return SavedRevision(_read_one(session, row.id), replayed=True)


_KEY = (
    RevisionRow.atlas_id,
    RevisionRow.kind,
    RevisionRow.layer,
    RevisionRow.unit,
    RevisionRow.sae,
    RevisionRow.annotator_id,
)


def _kind(subject: Subject) -> str:
    if isinstance(subject.ref, FeatureRef):
        return "feature"
    return "second" if subject.second else "head"


def _unit(subject: Subject) -> int:
    return subject.ref.head if isinstance(subject.ref, HeadRef) else subject.ref.index


def _place_of(atlas_id: int, subject: Subject) -> dict[str, object]:
    """The values of the columns that say what a revision is about."""
    return {
        "atlas_id": atlas_id,
        "kind": _kind(subject),
        "layer": subject.ref.layer,
        "unit": _unit(subject),
        "sae": subject.sae,
    }


def is_about(atlas_id: int, subject: Subject) -> ColumnElement[bool]:
    """The condition that a row is about this head or feature."""
    return and_(
        *(getattr(RevisionRow, name) == value for name, value in _place_of(atlas_id, subject).items())
    )


def current_records(
    session: Session, atlas_id: int, subjects: Iterable[Subject] | None = None
) -> list[Revision]:
    """The newest revision of every record, or of those of the subjects: by layer, unit, then name in code points.

    Second looks are among them only where the subjects name them.
    """
    records = current_records_and_second_looks(session, atlas_id, subjects)
    return [record for record in records if subjects is not None or not record.subject.second]


def current_records_and_second_looks(
    session: Session, atlas_id: int, subjects: Iterable[Subject] | None = None
) -> list[Revision]:
    """The newest revision of every record and second look, or of those of the subjects, in the same order."""
    newest = select(*_KEY, func.max(RevisionRow.version)).where(RevisionRow.atlas_id == atlas_id)
    only = None if subjects is None else set(subjects)
    if only is not None:
        units = {(s.ref.layer, _unit(s)) for s in only}
        newest = newest.where(tuple_(RevisionRow.layer, RevisionRow.unit).in_(units))
    query = REVISIONS.where(tuple_(*_KEY, RevisionRow.version).in_(newest.group_by(*_KEY)))
    return in_order(
        [record for record in read_revisions(session, query) if only is None or record.subject in only]
    )


def in_order(records: list[Revision]) -> list[Revision]:
    """The records by layer, unit, then name in code points; those of features after those of heads."""
    return sorted(
        records,
        key=lambda r: (isinstance(r.subject.ref, FeatureRef), r.subject.ref, r.subject.sae, r.annotator),
    )


# The record of these parameters. What each save asks is put together once.
_IS_RECORD = and_(*(column == bindparam(column.key) for column in _KEY))
_VERSIONS = select(RevisionRow.version, RevisionRow.restored_from).where(_IS_RECORD)


def versions(session: Session, atlas_id: int, subject: Subject, annotator_id: int) -> dict[int, int | None]:
    """The versions of one record, and the version that each restored."""
    record = {**_place_of(atlas_id, subject), "annotator_id": annotator_id}
    return {row.version: row.restored_from for row in session.execute(_VERSIONS, record)}


def ever_submitted(session: Session, atlas_id: int, annotator_id: int) -> set[Subject]:
    """The subjects that the annotator has submitted at any time: withdrawing one does not make them blind again."""
    query = select(RevisionRow.kind, RevisionRow.layer, RevisionRow.unit, RevisionRow.sae).where(
        RevisionRow.atlas_id == atlas_id,
        RevisionRow.annotator_id == annotator_id,
        RevisionRow.status == "submitted",
    )
    rows = session.execute(query.distinct())
    return {subject_of(kind, layer, unit, sae) for kind, layer, unit, sae in rows}


def newest_of(session: Session, atlas_id: int, subject: Subject, annotator_id: int) -> Revision | None:
    """The newest revision of one record."""
    record = {**_place_of(atlas_id, subject), "annotator_id": annotator_id}
    rows = read_revisions(session, _NEWEST, record)
    return rows[0] if rows else None


_NEWEST = REVISIONS.where(_IS_RECORD).order_by(RevisionRow.version.desc()).limit(1)
_ONE = REVISIONS.where(RevisionRow.id == bindparam("row_id"))


def _read_one(session: Session, row_id: int) -> Revision:
    return read_revisions(session, _ONE, {"row_id": row_id})[0]
