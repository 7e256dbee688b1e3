"""Postgres: the engine and the first connection, with reasons a person can act on."""

import importlib.util

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from app.errors import InvalidStore
from app.store.database.errors import first_line
from app.store.database.sqlite import BUSY_TIMEOUT_S, dump_json

MIN_VERSION = (14,)
# A standby, a database or user set so, or a user without the right to annotate.
_READ_ONLY = (
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' OR "
    "NOT coalesce(has_table_privilege(to_regclass('annotation_revisions'), 'INSERT'), true)"
)
# Statements prepared on the server break behind a pooler that changes connections per transaction.
_CONNECT = {"connect_timeout": int(BUSY_TIMEOUT_S), "prepare_threshold": None}


def postgres_engine(url: URL) -> Engine:
    """An engine that survives a restart of the server. Raises InvalidStore if the server refuses us now."""
    if importlib.util.find_spec("psycopg") is None:
        raise InvalidStore("a Postgres store needs the driver: pip install 'head-atlas[postgres]'")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=3,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args=_CONNECT,
        json_serializer=dump_json,
    )
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            reported = connection.dialect.server_version_info or (0,)
            read_only = bool(connection.scalar(text(_READ_ONLY)))
    except OperationalError as error:
        engine.dispose()
        raise InvalidStore(f"cannot open the store {display(url)}: {_reason(error)}") from error
    version = tuple(int(part) for part in reported)
    if version < MIN_VERSION:
        engine.dispose()
        raise InvalidStore(
            f"the store {display(url)} is on Postgres {version[0]}, which is older than {MIN_VERSION[0]}"
        )
    engine.update_execution_options(head_atlas_read_only=read_only)
    return engine


def unpooled(engine: Engine) -> Engine:
    """An engine on the same database, whose connections are none of the pool's, and each statement a transaction."""
    return create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_CONNECT)


def display(url: URL) -> str:
    """The address without its secrets; options may hold a password too, so they are left out."""
    return url.set(query={}).render_as_string(hide_password=True)


def _reason(error: OperationalError) -> str:
    text = first_line(error)
    return text.rpartition("FATAL:")[2].strip() if "FATAL:" in text else text


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("head_atlas_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
