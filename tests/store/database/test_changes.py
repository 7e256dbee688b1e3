"""Whether a store was written to since: every commit is seen, by whichever connection and process."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.store.annotators import add_annotator, find_annotator
from app.store.database.changes import ChangeWatch
from app.store.database.engine import open_store, read_session, write_session
from app.store.database.sqlite import driver, sqlite_engine
from tests.support.annotated_atlas import NOW

WRITES = """
import sys
from app.store.database.engine import open_store, write_session
from app.store.annotators import add_annotator
from tests.support.annotated_atlas import NOW
engine = open_store(sys.argv[1])
with write_session(engine) as session:
    add_annotator(session, "eve", NOW)
engine.dispose()
"""


@pytest.fixture
def engine(make_sqlite_store: Callable[..., str]) -> Iterator[Engine]:
    engine = open_store(make_sqlite_store())
    yield engine
    engine.dispose()


@pytest.fixture
def watch(engine: Engine):
    watch = ChangeWatch(engine)
    yield watch
    watch.close()


def test_every_commit_gives_another_version_and_reading_gives_the_same(engine, watch):
    seen = [watch.version()]
    for name in ("ada", "ben", "cleo"):
        with write_session(engine) as session:
            add_annotator(session, name, NOW)
            assert watch.version() == seen[-1]  # not committed yet
        seen.append(watch.version())
        with read_session(engine) as session:
            assert find_annotator(session, name)
        assert watch.version() == seen[-1]
    assert None not in seen
    assert len(set(seen)) == 4


def test_a_change_that_is_rolled_back_leaves_the_version(engine, watch):
    before = watch.version()
    with suppress(ZeroDivisionError), write_session(engine) as session:
        add_annotator(session, "ada", NOW)
        raise ZeroDivisionError
    assert watch.version() == before


def test_what_another_process_commits_is_seen(engine, watch):
    before = watch.version()
    subprocess.run([sys.executable, "-c", WRITES, str(engine.url.database)], check=True)
    assert watch.version() != before


def test_where_it_cannot_be_known_there_is_no_version(make_sqlite_store):
    store = make_sqlite_store()
    connection = driver().connect(store, isolation_level=None)
    connection.execute("PRAGMA journal_mode=DELETE")  # in which a writer keeps readers out
    watch = ChangeWatch(sqlite_engine(Path(store)))
    assert watch.version() is not None
    connection.execute("BEGIN EXCLUSIVE")
    assert watch.version() is None
    connection.execute("ROLLBACK")
    assert watch.version() is not None
    connection.close()
    watch.close()
    assert watch.version() is None


def test_the_watch_cannot_write(watch):
    with pytest.raises(driver().OperationalError, match="readonly|read-only|read only"):
        watch._connection.execute("CREATE TABLE t (x)")


def test_where_another_file_took_the_stores_place_there_is_no_version(engine, watch):
    path = Path(str(engine.url.database))
    path.rename(path.with_suffix(".old"))
    assert watch.version() is None
    path.write_bytes(path.with_suffix(".old").read_bytes())
    assert watch.version() is None
    path.with_suffix(".old").replace(path)
    assert watch.version() is not None
