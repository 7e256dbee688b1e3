"""Alembic's entry: run the migrations on the connection that app.store.migrate has opened."""

from alembic import context
from sqlalchemy import Connection

from app.settings import Settings
from app.store.database.engine import open_store
from app.store.tables.atlas import Base


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        # SQLite alters a table by rebuilding it.
        render_as_batch=True,
        # SQLite can roll back DDL, which Alembic does not assume: a kill then leaves the old schema whole.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _from_command_line() -> None:
    """`alembic revision --autogenerate` and `alembic check` during development, on HEAD_ATLAS_STORE."""
    engine = open_store(Settings().store)
    with engine.execution_options(head_atlas_writes=True).begin() as connection:
        _run(connection)
    engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    _from_command_line()
