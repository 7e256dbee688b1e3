"""One checksum over everything deterministic in a store: two equal jobs must give two equal digests."""

import hashlib
from collections.abc import Iterator

from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from app.store.database.engine import read_session
from app.store.database.sqlite import dump_json
from app.store.tables import atlas as tables

ADDED_COLUMNS = {"documents"}  # later than a published version: NULL in its runs, once they are upgraded


def table_digest(engine: Engine) -> str:
    """sha256 of the ordered rows of every table but reports and progress, the same on both engines.

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
    present = inspect(session.connection()).get_table_names()  # a store of an older schema lacks some
    atlases = session.execute(
        select(tables.AtlasRow.id, tables.AtlasRow.slug).order_by(tables.AtlasRow.slug)
    ).all()
    for atlas_id, slug in atlases:
        yield from ("atlas", slug)
        runs = select(tables.RunRow).where(tables.RunRow.atlas_id == atlas_id)
        for run in session.scalars(runs.order_by(tables.RunRow.state, tables.RunRow.fingerprint)).all():
            names = sorted(set(inspect(tables.RunRow).columns.keys()) - {"id", "atlas_id"})
            yield from (getattr(run, name) for name in names)
            for table in tables.RUN_TABLES:
                yield table.__tablename__
                if table.__tablename__ in present:
                    yield from _rows(session, table, run.id)
    vocabularies = select(tables.VocabularyRow.checksum, tables.VocabularyRow.data)
    for row in session.execute(vocabularies.order_by(tables.VocabularyRow.checksum)):
        yield from row


def _rows(session: Session, table: type[tables.Base], run_id: int) -> Iterator[object]:
    keys = inspect(table).primary_key
    present = {column["name"] for column in inspect(session.connection()).get_columns(table.__tablename__)}
    columns = [column for column in table.__table__.columns if column.name in present - {"run_id"}]
    query = select(*columns).where(keys[0] == run_id).order_by(*keys)
    for row in session.execute(query, execution_options={"yield_per": 500}):
        for column, value in zip(columns, row, strict=True):
            if value is not None or column.name not in ADDED_COLUMNS:
                yield value
