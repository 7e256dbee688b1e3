"""Stores that cannot be written: serve, check, export and backup work, annotation is off, nothing is left."""

import os
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from app.errors import InvalidStore
from app.settings import Settings
from app.store.checks import check_store
from app.store.database import sqlite
from app.store.database.engine import backup, is_read_only, open_store, read_session, write_session
from app.web.factory import create_app
from app.web.static_site.writer import export_site
from tests.support.annotated_site import team_of
from tests.support.html_forms import HEAD
from tests.support.migrations import downgrade
from tests.support.run_data import make_run, publish
from tests.support.serving import HOSTS, served
from tests.support.store_digest import table_digest

pytestmark = pytest.mark.slow

PAGES = (
    HEAD,
    "/",
    "/tiny",
    "/tiny/annotations",
    "/tiny/features/L0F3",
    "/tiny/search?q=words",
    "/tiny/annotations.csv",
)


@contextmanager
def as_nobody():
    """Root may write anything: another user's eyes for the block."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def make_folder():
    """Makes folders that others may look into, as pytest's own are not."""
    with ExitStack() as opened:

        def make(mode):
            path = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            path.chmod(mode)
            return path

        yield make


@pytest.fixture
def folder(make_folder):
    return make_folder(0o755)


@pytest.fixture
def store(folder, sqlite_template):
    path = folder / "store.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_store(path)
    publish(engine, make_run())
    engine.dispose()
    team_of(str(path)).state.app_context.close()
    path.chmod(0o444)
    return path


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_f11_serve_check_export_and_backup_work_and_leave_no_trace(store, folder, make_folder):
    out = make_folder(0o777)
    engine = open_store(store)
    expected = table_digest(engine)
    n_files = export_site(engine, "tiny", out / "of-root")  # imports what pages need
    engine.dispose()
    before = files(folder)
    with as_nobody():
        engine = open_store(store, must_exist=True, to_read=True)
        assert is_read_only(engine)
        check_store(engine)
        assert table_digest(engine) == expected
        backup(engine, out / "copy.sqlite")
        assert export_site(engine, "tiny", out / "site") == n_files
        with pytest.raises(InvalidStore, match="read-only"), write_session(engine) as session:
            session.execute(text("DELETE FROM atlases"))
        engine.dispose()
    assert files(folder) == before
    assert table_digest(open_store(out / "copy.sqlite")) == expected


def test_f11_pages_are_read_annotation_is_off_and_said_so(store, folder):
    with TestClient(served(str(store)), follow_redirects=False) as client:
        for path in PAGES:  # imports what pages need: nobody may not read the libraries everywhere
            assert "read-only store" not in client.get(path).text
    before = files(folder)
    with as_nobody(), TestClient(served(str(store)), follow_redirects=False) as client:
        page = client.get(HEAD)
        assert page.status_code == 200
        assert "read-only store: annotation is off" in page.text
        assert 'name="notes"' not in page.text
        assert "ada" in page.text  # what others have submitted is there
        for path in PAGES:
            assert client.get(path).status_code in (200, 307), path
        for path, form in (
            (f"{HEAD}/annotation", {"notes": "x", "base_version": "0"}),
            ("/tiny/features/L0F3/notes", {"base_version": "0", "label": "x"}),
        ):
            assert client.post(path, data=form).status_code == 503
        assert client.get("/tiny/annotations/import").status_code == 403
    assert files(folder) == before


def test_f11_a_team_cannot_log_in_to_a_read_only_store(store):
    with as_nobody(), pytest.raises(InvalidStore, match="is read-only, so nobody can log in"):
        create_app(Settings(store=str(store), allowed_hosts=HOSTS, team=True))


def test_what_needs_to_write_refuses_it(store):
    with as_nobody(), pytest.raises(InvalidStore, match="is not writable"):
        open_store(store)


def test_a_read_only_store_of_an_earlier_version_says_what_it_needs(folder, sqlite_template):
    path = folder / "store.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_store(path)
    downgrade(engine, "0006")
    engine.dispose()
    with as_nobody(), pytest.raises(InvalidStore, match="is at schema revision 0006, this version needs"):
        served(str(path))


def test_commits_that_are_still_beside_the_store_are_read(store, folder):
    """A copy made while a server ran, or one that was killed: the newest commits are in the -wal file."""
    store.chmod(0o644)
    writer = sqlite.driver().connect(store)
    writer.execute("UPDATE annotators SET name = 'adele' WHERE name = 'ada'")
    writer.commit()
    try:
        assert (folder / "store.sqlite-wal").stat().st_size > 0
        with as_nobody():
            engine = open_store(store, must_exist=True, to_read=True)
            with read_session(engine) as session:
                assert "adele" in session.scalars(text("SELECT name FROM annotators")).all()
            engine.dispose()
    finally:
        writer.close()


def test_f11_a_read_only_database_on_postgres(make_postgres_store):
    url = make_postgres_store()
    engine = open_store(url)
    publish(engine, make_run())
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        name = engine.url.database
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine.dispose()
    engine = open_store(url, to_read=True)
    assert is_read_only(engine)
    check_store(engine)
    with pytest.raises(InvalidStore, match="read-only"), write_session(engine) as session:
        session.execute(text("DELETE FROM atlases"))
    engine.dispose()
    with TestClient(served(url), follow_redirects=False) as client:
        assert "read-only store: annotation is off" in client.get(HEAD).text
        assert client.post(f"{HEAD}/annotation", data={"notes": "x"}).status_code == 503
