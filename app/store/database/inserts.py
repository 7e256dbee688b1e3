"""Inserts that rivals may make at the same moment."""

from collections.abc import Mapping

from sqlalchemy import Insert
from sqlalchemy.orm import Session

from app.store.tables.atlas import Base


def insert_unless_there(session: Session, table: type[Base], values: Mapping[str, object]) -> Insert:
    """The statement that adds a row, or leaves one that has its keys already as it is."""
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert
    return insert(table).values(values).on_conflict_do_nothing()
