"""Schema versions: upgrade, downgrade, check. Each is one transaction: a kill leaves the old schema whole."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from app.errors import InvalidStore
from app.paths import migrations_dir
from app.store import annotation_tables, experiment_tables, search_tables, tables
from app.store.errors import translated

# Every module that adds tables to the one metadata.
_TABLE_MODULES = (tables, annotation_tables, search_tables, experiment_tables)
# A second process waits this long for the first to finish its upgrade.
UPGRADE_TIMEOUT_S = 60
_ADVISORY_LOCK = 0x48656164  # any number, the same for every process: "Head"


def alembic_config() -> Config:
    """The whole configuration of Alembic: there is no ini file to find beside an installed package."""
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Make or renew the tables. Several processes may call this at once: all but one wait."""
    _migrate(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> None:
    """Back to an older revision, or to "base": data of what the newer ones added is lost."""
    _migrate(engine, lambda config: command.downgrade(config, revision))


def _migrate(engine: Engine, run: Callable[[Config], None]) -> None:
    config = alembic_config()
    writing = engine.execution_options(head_atlas_writes=True)
    with translated(), writing.connect() as connection, _relaxed(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = {UPGRADE_TIMEOUT_S * 1000}"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        run(config)
        _check_references(connection)


@contextmanager
def _relaxed(connection: Connection) -> Generator[None]:
    """Settings of SQLite that cannot change inside a transaction.

    With foreign keys on, rebuilding a table (the only way to alter one) would delete the rows under it.
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


def revision_of_code() -> str:
    """The newest revision that this version knows."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if revision is None:
        raise FileNotFoundError("this installation lacks its migrations; install head-atlas again")
    return revision


def revision_of_store(engine: Engine) -> str | None:
    """The store's revision; None where no tables have been made."""
    with translated(), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check_schema(engine: Engine, name: str) -> None:
    """Raises InvalidStore when the store was made by a newer version, or is not a store of ours."""
    revision = revision_of_store(engine)
    if revision is None:
        with engine.connect() as connection:
            # Alembic's own empty table is what a downgrade to nothing leaves.
            foreign = sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
        if foreign:
            raise InvalidStore(f"{name} is a database of something else: it holds the table {foreign[0]!r}")
        return
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if revision not in known:
        raise InvalidStore(
            f"{name} was made by a newer Head Atlas: its schema is revision {revision}, "
            f"this version knows up to {revision_of_code()}"
        )


def require_current(engine: Engine, name: str) -> None:
    """Raises InvalidStore when the tables are missing or older than this version needs."""
    store, code = revision_of_store(engine), revision_of_code()
    if store != code:
        state = (
            "has no tables yet"
            if store is None
            else f"is at schema revision {store}, this version needs {code}"
        )
        raise InvalidStore(f"{name} {state}; run `head-atlas db upgrade`")


def schema_differences(engine: Engine) -> list[str]:
    """What the tables in the store and in the code disagree on: empty after every upgrade."""
    [metadata] = {module.Base.metadata for module in _TABLE_MODULES}
    with translated(), engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata},
        )
        return [str(difference) for difference in compare_metadata(context, metadata)]
