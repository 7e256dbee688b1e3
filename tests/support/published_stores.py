"""Stores as published versions made them, on SQLite and on Postgres."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, create_engine, select, text

from app.store.database.engine import open_store
from app.store.database.sqlite import driver
from app.store.migrate import upgrade

FOLDER = Path(__file__).parent / "published"
# By version: the revision of its schema.
PUBLISHED = {"0.1.0": "0005", "0.2.0": "0006"}


def make_sqlite(version: str, path: Path) -> str:
    """The store of that version, byte for byte what it wrote."""
    connection = driver().connect(path)
    connection.executescript((FOLDER / f"{version}.sql").read_text(encoding="utf-8"))
    connection.close()
    return str(path)


def make_postgres(version: str, url: str, path: Path) -> str:
    """The same rows in the tables that the version's migrations make on Postgres. url: of an empty database."""
    store = open_store(url)
    upgrade(store, PUBLISHED[version])
    old = create_engine(f"sqlite:///{make_sqlite(version, path)}", module=driver())
    was, now = MetaData(), MetaData()
    was.reflect(old)
    now.reflect(store)
    with old.connect() as source, store.execution_options(head_atlas_writes=True).begin() as target:
        for table in now.sorted_tables:
            rows = [
                {column: _aware(value) for column, value in row._mapping.items()}
                for row in source.execute(select(was.tables[table.name]))
            ]
            if rows and table.name != "alembic_version":
                target.execute(table.insert(), rows)
            if rows and isinstance(rows[0].get("id"), int):
                last, sequence = (
                    max(row["id"] for row in rows),
                    f"pg_get_serial_sequence('{table.name}', 'id')",
                )
                target.execute(text(f"SELECT setval({sequence}, {last})"))
    old.dispose()
    store.dispose()
    return url


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
