"""Upgrading a store to another schema version, in one transaction: a kill leaves the old schema whole."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from app.errors import InvalidStore
from app.paths import migrations_dir
from app.store.database.errors import translated
from app.store.database.store_names import store_name
from app.store.tables import annotations as annotation_tables
from app.store.tables import atlas as tables
from app.store.tables import experiments as experiment_tables
from app.store.tables import search as search_tables

# Every module that adds tables to the one metadata.
TABLE_MODULES = (tables, annotation_tables, search_tables, experiment_tables)
# A second process waits this long for the first to finish its upgrade.
UPGRADE_TIMEOUT_S = 60
_ADVISORY_LOCK = 0x48656164  # any number, the same for every process: "Head"


def alembic_config() -> Config:
    """The configuration of Alembic, without an ini file: an installed package has none beside it."""
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Make or renew the tables. Several processes may call this at once: all but one wait."""
    run_migration(engine, lambda config: command.upgrade(config, revision))


def run_migration(engine: Engine, run: Callable[[Config], None]) -> None:
    """Run a command of Alembic in one transaction, while any other process waits. Raises InvalidStore."""
    config = alembic_config()
    writing = engine.execution_options(head_atlas_writes=True)
    with (
        translated(store_name(engine)),
        writing.connect() as connection,
        _without_foreign_keys(connection),
        connection.begin(),
    ):
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = {UPGRADE_TIMEOUT_S * 1000}"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        run(config)
        _check_references(connection)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Generator[None]:
    """Turn foreign keys off and wait longer for locks while the block runs; does nothing on Postgres.

    SQLite alters a table by building it anew, and with foreign keys on that would delete the rows that refer to it.
    They cannot be turned off inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    raw: Any = connection.connection.driver_connection
    (timeout,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA foreign_keys=OFF")
    raw.execute(f"PRAGMA busy_timeout={UPGRADE_TIMEOUT_S * 1000}")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(f"PRAGMA busy_timeout={timeout}")


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise InvalidStore(
                f"the upgrade would leave {len(broken)} rows of {broken[0][0]!r} without their parent"
            )
