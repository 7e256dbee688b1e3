"""Revisions of annotations as they are stored: the query for them, and rows made into revisions."""

import json
from threading import Lock
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Row, Select, Text, cast, select
from sqlalchemy.orm import Session, aliased

from app.domain.annotations.json_form import head_from_json, note_from_json
from app.domain.annotations.records import Against, Content, Revision, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.store.tables.annotations import AnnotatorRow, RevisionRow

# Pages read every record of an atlas: the content of so many is in memory, each with the text that it was parsed from,
# unless that is longer than this (a record has some 1,200 characters).
_RECORDS_IN_MEMORY, _LONGEST_IN_MEMORY = 4096, 8192

_AUTHOR = aliased(AnnotatorRow)
_COLUMNS = tuple(column for column in RevisionRow.__table__.columns if column.key != "content")
# To be narrowed by `where` and put in order by the caller.
REVISIONS: Select[*tuple[Any, ...]] = (
    select(
        *_COLUMNS,
        cast(RevisionRow.content, Text).label("text"),
        AnnotatorRow.name.label("annotator"),
        _AUTHOR.name.label("author"),
    )
    .join(AnnotatorRow, AnnotatorRow.id == RevisionRow.annotator_id)
    .join(_AUTHOR, _AUTHOR.id == RevisionRow.author_id)
)


def read_revisions(
    session: Session, query: Select[*tuple[Any, ...]], values: dict[str, object] | None = None
) -> list[Revision]:
    """The revisions that the query, which is made from REVISIONS, selects. values: of its parameters."""
    return [_revision(row) for row in session.execute(query, values)]


def subject_of(kind: str, layer: int, unit: int, sae: str) -> Subject:
    """The head or feature that the columns of a revision name."""
    ref = FeatureRef(layer, unit) if kind == "feature" else HeadRef(layer, unit)
    return Subject(ref, sae, kind == "second")


def _revision(row: Row[*tuple[Any, ...]]) -> Revision:
    return Revision(
        subject=subject_of(row.kind, row.layer, row.unit, row.sae),
        annotator=row.annotator,
        author=row.author,
        version=row.version,
        status=row.status,
        content=_content(row),
        against=Against(row.against_run, row.against_sae, row.software),
        created_at=row.created_at,
        blind=row.blind,
        restored_from=row.restored_from,
        imported_at=row.imported_at,
        given_by_sheet=row.imported_at is not None and row.base_version == 0,
    )


# By record, so that a text that nobody reads again makes way for the next version.
_in_memory: LRUCache[tuple[object, ...], tuple[str, Content]] = LRUCache(_RECORDS_IN_MEMORY)
_lock = Lock()


def _content(row: Row[*tuple[Any, ...]]) -> Content:
    """What the stored JSON says of a head or a feature."""
    record = (row.atlas_id, row.kind, row.layer, row.unit, row.sae, row.annotator_id)
    with _lock:
        text, content = _in_memory.get(record, ("", None))
    if content is not None and text == row.text:
        return content
    value = json.loads(row.text)
    content = note_from_json(value) if row.kind == "feature" else head_from_json(value)
    if len(row.text) <= _LONGEST_IN_MEMORY:
        with _lock:
            _in_memory[record] = row.text, content
    return content
