"""Whether a store was written to since: every commit is seen, by whichever connection and process."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.store.annotators import add_annotator, find_annotator
from app.store.database import changes
from app.store.database.changes import ChangeWatch, FileWatch, SnapshotWatch, watch_changes
from app.store.database.engine import open_store, read_session, write_session
from app.store.database.sqlite import driver, sqlite_engine
from tests.support.annotated_atlas import NOW
from tests.support.coroutines import result_of

WRITES = """
import sys
from app.store.database.engine import open_store, write_session
from app.store.annotators import add_annotator
from tests.support.annotated_atlas import NOW
from tests.support.coroutines import result_of
engine = open_store(sys.argv[1])
with write_session(engine) as session:
    add_annotator(session, "eve", NOW)
engine.dispose()
"""


@pytest.fixture
def watch(engine: Engine) -> Iterator[ChangeWatch]:
    watch = watch_changes(engine)
    yield watch
    watch.close()


def version(watch: ChangeWatch) -> object:
    return result_of(watch.version())


def test_every_commit_gives_another_version_and_reading_gives_the_same(engine, watch):
    seen = [version(watch)]
    for name in ("ada", "ben", "cleo"):
        with write_session(engine) as session:
            add_annotator(session, name, NOW)
            if engine.dialect.name == "sqlite":  # Postgres may count what is not committed yet, too
                assert version(watch) == seen[-1]
        seen.append(version(watch))
        with read_session(engine) as session:
            assert find_annotator(session, name)
        assert version(watch) == seen[-1]
    assert None not in seen
    assert len(set(seen)) == 4


def test_what_another_process_commits_is_seen(engine, watch):
    before = version(watch)
    url = engine.url.render_as_string(hide_password=False)
    store = url if engine.dialect.name == "postgresql" else str(engine.url.database)
    subprocess.run([sys.executable, "-c", WRITES, store], check=True)
    assert version(watch) != before


def test_commits_in_another_order_than_begun_are_each_seen(make_postgres_store):
    engine = open_store(make_postgres_store())
    watch = watch_changes(engine)
    with ExitStack() as first, ExitStack() as second:
        sessions = [stack.enter_context(write_session(engine)) for stack in (first, second)]
        for name, session in zip(("ada", "ben"), sessions, strict=True):
            add_annotator(session, name, NOW)
        seen = [version(watch)]
        for stack in (second, first):
            stack.close()
            seen.append(version(watch))
    assert None not in seen
    assert len(set(seen)) == 3
    watch.close()
    engine.dispose()


def test_a_change_of_a_file_that_is_rolled_back_leaves_the_version(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    watch = watch_changes(engine)
    before = version(watch)
    with suppress(ZeroDivisionError), write_session(engine) as session:
        add_annotator(session, "ada", NOW)
        raise ZeroDivisionError
    assert version(watch) == before
    watch.close()
    engine.dispose()


@pytest.fixture
def of_file(make_sqlite_store: Callable[..., str]) -> Iterator[tuple[Path, ChangeWatch]]:
    store = make_sqlite_store()
    engine = open_store(store)
    watch = watch_changes(engine)
    yield Path(store), watch
    watch.close()
    engine.dispose()


def test_where_it_cannot_be_known_there_is_no_version(make_sqlite_store):
    store = make_sqlite_store()
    connection = driver().connect(store, isolation_level=None)
    connection.execute("PRAGMA journal_mode=DELETE")  # in which a writer keeps readers out
    watch = FileWatch(sqlite_engine(Path(store)))
    assert version(watch) is not None
    connection.execute("BEGIN EXCLUSIVE")
    assert version(watch) is None
    connection.execute("ROLLBACK")
    assert version(watch) is not None
    connection.close()
    watch.close()
    assert version(watch) is None


def test_the_watch_cannot_write(of_file):
    with pytest.raises(driver().OperationalError, match="readonly|read-only|read only"):
        of_file[1]._connection.execute("CREATE TABLE t (x)")


def test_where_another_file_took_the_stores_place_there_is_no_version(of_file):
    path, watch = of_file
    path.rename(path.with_suffix(".old"))
    assert version(watch) is None
    path.write_bytes(path.with_suffix(".old").read_bytes())
    assert version(watch) is None
    path.with_suffix(".old").replace(path)
    assert version(watch) is not None


@pytest.fixture
def of_server(make_postgres_store: Callable[..., str]) -> Iterator[tuple[Engine, SnapshotWatch]]:
    engine = open_store(make_postgres_store())
    watch = SnapshotWatch(engine)
    yield engine, watch
    watch.close()
    engine.dispose()


def test_one_question_answers_all_that_came_before_it_and_none_that_came_later(of_server, monkeypatch):
    _, watch = of_server
    begun, go_on, asked = threading.Event(), threading.Event(), list[int]()
    ask = watch._ask

    def slow() -> str | None:
        asked.append(1)
        begun.set()
        assert go_on.wait(10)
        return f"{len(asked)} {ask()}"

    monkeypatch.setattr(watch, "_ask", slow)

    async def some() -> list[str | None]:
        first = asyncio.create_task(watch.version())
        await asyncio.to_thread(begun.wait, 10)
        others = [asyncio.create_task(watch.version()) for _ in range(20)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(first, *others)

    answers = [answer.split()[0] for answer in result_of(some()) if answer is not None]
    assert answers == ["1", *["2"] * 20]


def test_a_server_that_says_nothing_is_not_waited_for_long_and_is_asked_again(of_server, monkeypatch):
    _, watch = of_server
    patience, ask, go_on = 0.5, watch._ask, threading.Event()
    monkeypatch.setattr(changes, "PATIENCE_S", patience)
    monkeypatch.setattr(watch, "_ask", lambda: ask() if go_on.wait(10) else None)
    began = time.monotonic()
    assert version(watch) is None
    assert patience <= time.monotonic() - began < patience + 5
    go_on.set()
    monkeypatch.undo()
    assert version(watch) is not None


def test_a_connection_that_the_server_dropped_is_replaced(of_server):
    engine, watch = of_server
    before = version(watch)
    with engine.connect() as connection:
        drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
        connection.exec_driver_sql(f"{drop} current_database()")
    assert version(watch) is None
    assert version(watch) == before is not None
