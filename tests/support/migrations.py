"""What only tests ask of migrations: the way back, and whether the store's tables are those of the code."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from app.errors import InvalidStore
from app.store.database.errors import translated
from app.store.database.schema_versions import revision_of_code, revision_of_store
from app.store.migrate import TABLE_MODULES, run_migration

# The beginning of a program without threads, which forks a child for each place to be killed at.
UPGRADE_KILLED_AT = """
import os, signal, sys
from sqlalchemy import event
from app.store.database.engine import open_store
from app.store.migrate import upgrade

def run(store, kill_at):
    seen = 0
    def count(*_):
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    engine = open_store(store)
    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "commit", count)
    upgrade(engine)
    engine.dispose()
"""


def downgrade(engine: Engine, revision: str) -> None:
    """Back to an older revision, or to "base": data of what the newer ones added is lost."""
    run_migration(engine, lambda config: command.downgrade(config, revision))


def schema_differences(engine: Engine) -> list[str]:
    """What the tables in the store and in the code disagree on: empty after every upgrade."""
    [metadata] = {module.Base.metadata for module in TABLE_MODULES}
    with translated(), engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"compare_type": True, "compare_server_default": True, "target_metadata": metadata},
        )
        return [str(difference) for difference in compare_metadata(context, metadata)]


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
