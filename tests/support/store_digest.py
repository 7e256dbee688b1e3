"""One checksum over everything deterministic in a store: two equal jobs must give two equal digests."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Engine, inspect, select
from sqlalchemy.orm import Session

from app.store.database.engine import read_session
from app.store.database.sqlite import dump_json
from app.store.tables import atlas as tables


def table_digest(engine: Engine) -> str:
    """sha256 of the ordered rows of every table but reports and progress, the same on both engines and schemas.

    A column that an older schema lacks counts as one that holds nothing, and so does such a table.

    Ids are left out, and each run goes by its atlas, state and fingerprint: how many runs came before it is
    history, not content. Unfinished runs count.
    """
    digest = hashlib.sha256()
    with read_session(engine) as session:
        for value in _content(session):
            data = value if isinstance(value, bytes) else dump_json(value).encode()
            # The kind and length before each value, so that no two lists of values give one stream.
            digest.update(b"%s%d:" % (type(value).__name__.encode(), len(data)))
            digest.update(data)
    return digest.hexdigest()


def _content(session: Session) -> Iterator[object]:
    atlases = session.execute(
        select(tables.AtlasRow.id, tables.AtlasRow.slug).order_by(tables.AtlasRow.slug)
    ).all()
    for atlas_id, slug in atlases:
        yield from ("atlas", slug)
        columns = _present(session, tables.RunRow, {"id", "atlas_id"})
        runs = select(tables.RunRow.id, *columns).where(tables.RunRow.atlas_id == atlas_id)
        for run_id, *values in session.execute(
            runs.order_by(tables.RunRow.state, tables.RunRow.fingerprint)
        ).all():
            yield from _named(columns, values)
            for table in tables.RUN_TABLES:
                yield table.__tablename__
                yield from _rows(session, table, run_id)
    vocabularies = select(tables.VocabularyRow.checksum, tables.VocabularyRow.data)
    for row in session.execute(vocabularies.order_by(tables.VocabularyRow.checksum)):
        yield from row


def _rows(session: Session, table: type[tables.Base], run_id: int) -> Iterator[object]:
    keys = inspect(table).primary_key
    columns = _present(session, table, {"run_id"})
    if not columns:
        return
    query = select(*columns).where(keys[0] == run_id).order_by(*keys)
    for row in session.execute(query, execution_options={"yield_per": 500}):
        yield from _named(columns, row)


def _present(session: Session, table: type[tables.Base], leave_out: set[str]) -> list[Column[Any]]:
    """The columns of a table that the store has, by name; none if it lacks the table."""
    inspector = inspect(session.connection())
    if not inspector.has_table(table.__tablename__):
        return []
    stored = {column["name"] for column in inspector.get_columns(table.__tablename__)} - leave_out
    return sorted((c for c in table.__table__.columns if c.name in stored), key=lambda column: column.name)


def _named(columns: Sequence[Column[Any]], values: Iterable[object]) -> Iterator[object]:
    """Each value that there is, after its column's name."""
    for column, value in zip(columns, values, strict=True):
        if value is not None:
            yield from (column.name, value)
