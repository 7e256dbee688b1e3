"""Opening SQLite files, good and bad."""

import os
import sqlite3
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from app.errors import InvalidStore
from app.store.checks import check_store
from app.store.database import sqlite
from app.store.database.engine import open_store, read_session
from app.store.database.store_names import store_name
from app.store.migrate import upgrade
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.migrations import require_current
from tests.support.refused_stores import refusal


def test_sqlite_is_set_up_to_keep_what_it_acknowledges(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        version = tuple(map(int, connection.exec_driver_sql("SELECT sqlite_version()").scalar().split(".")))
    engine.dispose()
    # 2 is FULL: a commit survives a power cut.
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    assert version >= sqlite.FIRST_SAFE_WAL


@pytest.mark.parametrize(
    ("version", "mode"),
    [((3, 40, 1), "DELETE"), ((3, 51, 2), "DELETE"), ((3, 51, 3), "WAL"), ((3, 53, 4), "WAL")],
)
def test_f06_wal_is_used_only_where_it_is_safe(version, mode):
    assert sqlite.journal_mode(version) == mode


def test_without_the_bundled_sqlite_an_old_one_is_used_without_wal(make_sqlite_store, monkeypatch):
    url = make_sqlite_store()
    open_store(url).dispose()  # leaves a file in WAL mode
    for name in [name for name in sys.modules if name.split(".")[0] == "pysqlite3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pysqlite3", None)
    engine = open_store(url)
    stored_runs.publish(engine)
    with engine.connect() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    engine.dispose()
    assert mode == sqlite.journal_mode(sqlite3.sqlite_version_info).lower()


def test_a_new_file_is_made_and_an_empty_one_is_as_good(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    for name in ("new.sqlite", "empty.sqlite", "a b%20?#&=.sqlite"):
        engine = open_store(tmp_path / name)
        with pytest.raises(InvalidStore, match="has no tables yet"):
            require_current(engine, store_name(engine))
        upgrade(engine)
        require_current(engine, store_name(engine))
        engine.dispose()
        assert (tmp_path / name).stat().st_size > 0


def test_a_store_that_must_exist_is_not_made(tmp_path):
    _, sentence = refusal(tmp_path / "typo.sqlite", must_exist=True)
    assert "typo.sqlite" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a25_what_cannot_be_a_store_is_refused_and_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be one" * 100)
    (tmp_path / "short.sqlite").write_bytes(b"SQLite")
    os.mkfifo(tmp_path / "pipe")
    connection = sqlite3.connect(tmp_path / "other.sqlite")
    connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.commit()
    connection.close()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.sqlite")}
    for target, part in {
        tmp_path / "folder": "is a folder",
        tmp_path / "pipe": "is a device or a pipe",
        Path("/dev/zero"): "is a device or a pipe",
        tmp_path / "none" / "x.sqlite": "is not a folder",
        tmp_path / "text.sqlite" / "x.sqlite": "is not a folder",
        tmp_path / "text.sqlite": "not a SQLite file",
        tmp_path / "short.sqlite": "not a SQLite file",
        tmp_path / "other.sqlite": "'invoices'",
        "/proc/head-atlas.sqlite": "cannot be opened",
        "sqlite://": "in memory",
        "sqlite:///:memory:": "in memory",
        "mysql://user:hidden@host/name": "'mysql'",
        "postgresql://user:hidden@host:port/name": "cannot be read",
        "://": "cannot be read",
    }.items():
        kind, sentence = refusal(target)
        assert kind is InvalidStore, target
        assert part in sentence, sentence
        assert "hidden" not in sentence
    assert {path: path.read_bytes() for path in tmp_path.glob("*.sqlite")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "folder",
        "other.sqlite",
        "pipe",
        "short.sqlite",
        "text.sqlite",
    ]


@contextmanager
def no_superuser():
    """Nothing that root may do beyond others is allowed inside the `with`."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a25_an_unwritable_folder_or_file_is_refused(sqlite_template):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "store.sqlite").write_bytes(sqlite_template.read_bytes())
        folder.chmod(0o555)
        try:
            with no_superuser():
                sentences = [refusal(folder / "new.sqlite")[1], refusal(folder / "store.sqlite")[1]]
        finally:
            folder.chmod(0o755)
        assert len(sentences) == 2
        assert all("is not writable" in sentence for sentence in sentences)
        assert [path.name for path in folder.iterdir()] == ["store.sqlite"]


def test_f10_a_damaged_file_is_refused_with_a_way_out(make_sqlite_store):
    path = Path(make_sqlite_store())
    engine = open_store(path)
    stored_runs.publish(engine)
    engine.dispose()
    data = bytearray(path.read_bytes())
    refused = 0
    for page in range(1, len(data) // 4096, 7):
        damaged = data.copy()
        damaged[page * 4096 : page * 4096 + 2048] = os.urandom(2048)
        path.write_bytes(damaged)
        try:
            open_store(path).dispose()
        except InvalidStore as error:
            refused += "restore it from a backup" in str(error)
    # Noise inside a block's own bytes is not SQLite's to notice; reading the block notices it.
    assert refused > 3


def test_a_large_file_is_read_through_only_when_asked(make_sqlite_store, monkeypatch):
    path = Path(make_sqlite_store())
    data = bytearray(path.read_bytes())
    data[4096 * 5 : 4096 * 5 + 2048] = b"\xa5" * 2048
    path.write_bytes(data)
    with pytest.raises(InvalidStore):
        open_store(path)
    monkeypatch.setattr(sqlite.check_content, "__defaults__", (0,))
    engine = open_store(path)
    with pytest.raises(InvalidStore, match="damaged"):
        check_store(engine)
    engine.dispose()


def test_a_store_without_tables_says_how_to_make_them(make_store):
    engine = open_store(make_store(tables=False))
    with pytest.raises(InvalidStore, match="head-atlas db upgrade"), read_session(engine) as session:
        session.execute(select(tables.RunRow))
    engine.dispose()
