"""Inserts of many rows, and of rows that rivals may insert at the same moment."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Insert
from sqlalchemy import insert as insert_into
from sqlalchemy.orm import Session

from app.store.tables.atlas import Base


def insert_unless_there(
    session: Session, table: type[Base], values: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> Insert:
    """The statement that adds a row or several, or leaves what has their keys already as it is."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    return insert(table).values(values).on_conflict_do_nothing()


def insert_rows(session: Session, table: type[Base], rows: Iterable[Mapping[str, object]]) -> None:
    """Add the rows, of which there may be none."""
    if listed := list(rows):
        session.execute(insert_into(table), listed)
