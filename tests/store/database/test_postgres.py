"""Stores on Postgres: refusals, dropped connections, locked rows, backups."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.errors import InvalidStore, StoreBusy
from app.store.database.engine import backup, open_store, read_session, write_session
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.refused_stores import refusal


@pytest.fixture
def locked_user(make_postgres_store, postgres_server):
    """An address of a user whose password is checked."""
    url = make_url(make_postgres_store())
    engine = open_store(url.render_as_string(hide_password=False))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        rules = Path(connection.execute(text("SHOW hba_file")).scalar_one())
        before = rules.read_text()
        connection.execute(text("CREATE ROLE locked LOGIN PASSWORD 'right'"))
        rules.write_text("local all locked scram-sha-256\n" + before)
        connection.execute(text("SELECT pg_reload_conf()"))
        yield url.set(username="locked")
        rules.write_text(before)
        connection.execute(text("SELECT pg_reload_conf()"))
        connection.execute(text("DROP ROLE locked"))
    engine.dispose()


def with_password(url, password):
    return url.set(password=password)


@pytest.mark.slow
def test_f14_a_refusal_by_postgres_says_why(locked_user):
    cases = {
        with_password(locked_user, "hidden"): "password authentication failed",
        locked_user.set(username="nobody-here"): "does not exist",
        locked_user.set(username="postgres", database="none-such"): "does not exist",
        make_url("postgresql://me:hidden@127.0.0.1:1/name"): "refused",
        make_url("postgresql://me@127.0.0.1:1/name?password=hidden"): "refused",
        make_url("postgres://me@127.0.0.1:1/name"): "refused",
    }
    deadline = time.monotonic() + 5
    for url, part in cases.items():
        _, sentence = refusal(url.render_as_string(hide_password=False))
        while part not in sentence and time.monotonic() < deadline:  # the new rules may take a moment
            _, sentence = refusal(url.render_as_string(hide_password=False))
        assert part in sentence, sentence
        assert "hidden" not in sentence
    _, sentence = refusal(with_password(locked_user, "right").render_as_string(hide_password=False))
    assert "may not use the store's tables" in sentence


@pytest.mark.slow
def test_f12_connections_that_the_server_has_dropped_are_replaced(make_postgres_store):
    engine = open_store(make_postgres_store())
    with read_session(engine) as session:
        session.execute(select(tables.RunRow))
    other = open_store(engine.url.render_as_string(hide_password=False))
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with other.connect() as connection:
        connection.execute(text(f"{drop} AND pid <> pg_backend_pid()"))
    with read_session(engine) as session:
        session.execute(select(tables.RunRow))
        with other.connect() as connection:  # and in the middle of a transaction: one sentence
            connection.execute(text(f"{drop} AND pid <> pg_backend_pid()"))
        with pytest.raises(DBAPIError) as caught:
            session.execute(select(tables.RunRow))
    assert caught.value.connection_invalidated
    other.dispose()
    engine.dispose()


@pytest.mark.slow
def test_a_row_lock_on_postgres_is_waited_for_and_then_named(make_postgres_store, monkeypatch):
    monkeypatch.setattr("app.store.database.postgres.BUSY_TIMEOUT_S", 0.3)
    engine = open_store(make_postgres_store())
    stored_runs.publish(engine)
    with write_session(engine) as first:
        first.execute(select(tables.AtlasRow).with_for_update())
        with pytest.raises(StoreBusy), write_session(engine) as second:
            second.execute(select(tables.AtlasRow).with_for_update())
    engine.dispose()


@pytest.mark.slow
def test_postgres_stores_are_backed_up_with_its_own_tools(make_postgres_store, tmp_path):
    engine = open_store(make_postgres_store())
    with pytest.raises(InvalidStore, match="pg_dump"):
        backup(engine, tmp_path / "copy.sqlite")
    engine.dispose()
