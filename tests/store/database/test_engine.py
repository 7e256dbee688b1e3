"""Opening stores, good and bad, and the two kinds of transaction."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.errors import AppError, InvalidStore, OutOfSpace, StoreBusy
from app.store.atlas import writes as runs
from app.store.checks import check_store
from app.store.database import sqlite
from app.store.database.engine import backup, open_store, read_session, store_name, write_session
from app.store.migrate import upgrade
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.migrations import require_current


def refusal(target, **options):
    with pytest.raises(AppError) as caught:
        open_store(target, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Background on this error" not in sentence
    return caught.type, sentence


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
def test_wal_is_used_only_where_it_is_safe(version, mode):
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


def test_what_cannot_be_a_store_is_refused_and_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.sqlite").write_text("not a database, but long enough to be one" * 100)
    (tmp_path / "short.sqlite").write_bytes(b"SQLite")
    connection = sqlite3.connect(tmp_path / "other.sqlite")
    connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.commit()
    connection.close()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.sqlite")}
    for target, part in {
        tmp_path / "folder": "is a folder",
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


def test_an_unwritable_folder_or_file_is_refused(sqlite_template):
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


def test_a_damaged_file_is_refused_with_a_way_out(make_sqlite_store):
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


def test_a_lock_held_outside_is_waited_for_and_then_named(make_sqlite_store, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.3)
    engine = open_store(make_sqlite_store())
    # The same library: the locks of a file do not hold between two SQLites within one process.
    outside = sqlite.driver().connect(engine.url.database, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    with pytest.raises(StoreBusy, match="another process"), write_session(engine) as session:
        session.execute(select(tables.RunRow))
    assert 0.2 < time.monotonic() - start < 3
    with read_session(engine) as session:  # readers are not held up
        assert session.scalars(select(tables.RunRow)).all() == []
    outside.execute("ROLLBACK")
    outside.close()
    stored_runs.publish(engine)
    engine.dispose()


def test_writers_wait_for_each_other_and_lose_nothing(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
        session.execute(update(tables.RunRow).values(n_tokens=0))
    faults = []

    def add():
        for _ in range(25):
            try:
                with write_session(engine) as session:
                    run = session.get_one(tables.RunRow, run_id)
                    run.n_tokens += 1
            except Exception as error:
                faults.append(error)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with read_session(engine) as session:
        assert (faults, session.scalar(select(tables.RunRow.n_tokens))) == ([], 8 * 25)
    engine.dispose()


def test_a_read_session_cannot_write_and_the_next_write_can(engine):
    with pytest.raises((DBAPIError, AppError)), read_session(engine) as session:
        session.execute(insert(tables.AtlasRow).values(slug="x"))
    with write_session(engine) as session:
        session.execute(insert(tables.AtlasRow).values(slug="x"))
    with read_session(engine) as session:
        assert session.scalars(select(tables.AtlasRow.slug)).all() == ["x"]


def test_a_read_session_sees_one_moment(engine):
    stored_runs.publish(engine)
    with read_session(engine) as session:
        before = session.scalars(select(tables.RunRow.fingerprint)).all()
        stored_runs.publish(engine, fingerprint="f2")
        assert session.scalars(select(tables.RunRow.fingerprint)).all() == before == ["f1"]
    with read_session(engine) as session:
        assert session.scalars(select(tables.RunRow.fingerprint)).all() == ["f2"]


def fill(session):
    pages = session.connection().exec_driver_sql("PRAGMA page_count").scalar()
    session.connection().exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")
    run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
    for i in range(1000):
        runs.add_sequences(session, run_id, stored_runs.sequences(n=50), first_index=50 * i)


def test_a_full_disk_keeps_nothing_of_the_change(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    with pytest.raises(OutOfSpace), write_session(engine) as session:
        fill(session)
    with read_session(engine) as session:
        assert session.scalars(select(tables.AtlasRow)).all() == []
    engine.dispose()


def test_a_store_without_tables_says_how_to_make_them(make_store):
    engine = open_store(make_store(tables=False))
    with pytest.raises(InvalidStore, match="head-atlas db upgrade"), read_session(engine) as session:
        session.execute(select(tables.RunRow))
    engine.dispose()


def test_a_backup_of_a_store_in_use_is_whole(make_sqlite_store, tmp_path):
    engine = open_store(make_sqlite_store())
    stored_runs.publish(engine)
    with write_session(engine) as session:
        session.execute(insert(tables.AtlasRow).values(slug="unfinished"))
        backup(engine, tmp_path / "copy.sqlite")
    copy = open_store(tmp_path / "copy.sqlite")
    check_store(copy)
    with read_session(copy) as session:
        assert session.scalars(select(tables.AtlasRow.slug)).all() == ["tiny"]
    with pytest.raises(InvalidStore, match="exists already"):
        backup(engine, tmp_path / "copy.sqlite")
    copy.dispose()
    engine.dispose()


READER = """
import sys
sys.path[:0] = sys.argv[3:]
from tests.support import stored_runs
from app.store.atlas import features, reads
from app.store.database.engine import open_store, read_session
engine = open_store(sys.argv[1])
print("ready", flush=True)
seen = set()
for _ in range(int(sys.argv[2])):
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        seed = int(run.record.fingerprint.removeprefix("f"))
        refs = [feature.ref for feature in features.list_features(session, run, 2)]
        found = features.get_features(session, run, refs, with_examples=True)
        heads = reads.get_heads(session, run)
    made = [feature for feature in stored_runs.features(seed) if feature.ref.layer == 2]
    stored_runs.assert_same(found, made)
    stored_runs.assert_same(heads, stored_runs.heads(seed))
    seen.add(seed)
print(len(seen))
"""


def test_readers_never_see_a_mixture_of_two_runs(store_url):
    engine = open_store(store_url)
    stored_runs.publish(engine, fingerprint="f0", seed=0)
    folders = [str(Path(stored_runs.__file__).parents[2])]
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, store_url, "150", *folders],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    seed = 0
    while any(reader.poll() is None for reader in readers) and seed < 200:
        seed += 1
        stored_runs.publish(engine, fingerprint=f"f{seed}", seed=seed, batches=2)
    engine.dispose()
    for reader in readers:
        out, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0
        assert int(out) > 1  # several runs went live while it read
    assert seed >= 5


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


def _with_password(url, password):
    return url.set(password=password)


@pytest.mark.slow
def test_a_refusal_by_postgres_says_why(locked_user):
    cases = {
        _with_password(locked_user, "hidden"): "password authentication failed",
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
    _, sentence = refusal(_with_password(locked_user, "right").render_as_string(hide_password=False))
    assert "may not use the store's tables" in sentence


@pytest.mark.slow
def test_connections_that_the_server_has_dropped_are_replaced(make_postgres_store):
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
