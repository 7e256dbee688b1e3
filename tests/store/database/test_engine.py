"""The two kinds of transaction: waiting writers, readers of one moment, full disks, backups."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError

from app.errors import AppError, InvalidStore, OutOfSpace, StoreBusy
from app.store.atlas import writes as runs
from app.store.checks import check_store
from app.store.database import sqlite
from app.store.database.engine import backup, open_store, read_session, write_session
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.time_limits import less_than


def test_f05_a_lock_held_outside_is_waited_for_and_then_named(make_sqlite_store, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.3)
    engine = open_store(make_sqlite_store())
    # The same library: the locks of a file do not hold between two SQLites within one process.
    outside = sqlite.driver().connect(engine.url.database, isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    start = time.monotonic()
    with less_than(3), pytest.raises(StoreBusy, match="another process"), write_session(engine) as session:
        session.execute(select(tables.RunRow))
    assert time.monotonic() - start > 0.2
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


def test_what_a_connection_may_do_follows_from_its_transaction_and_not_from_the_one_before(
    make_sqlite_store, tmp_path
):
    engine = open_store(make_sqlite_store())

    def fails_to_write():
        with pytest.raises(InvalidStore, match="cannot be written"), read_session(engine) as session:
            session.execute(insert(tables.AtlasRow).values(slug="never"))

    def writes(slug):
        with write_session(engine) as session:
            session.execute(insert(tables.AtlasRow).values(slug=slug))

    for number in range(2):
        writes(f"first {number}")
        writes(f"second {number}")
        fails_to_write()
        fails_to_write()
        backup(engine, tmp_path / f"{number}.sqlite")  # allows writing outside of transactions
        fails_to_write()
    engine.dispose()  # connections are made anew
    fails_to_write()
    with read_session(engine) as session:
        assert session.scalars(select(tables.AtlasRow.slug).order_by(tables.AtlasRow.slug)).all() == [
            *("first 0", "first 1", "second 0", "second 1")
        ]
    engine.dispose()


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


def test_a07_a_full_disk_keeps_nothing_of_the_change(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    with pytest.raises(OutOfSpace), write_session(engine) as session:
        fill(session)
    with read_session(engine) as session:
        assert session.scalars(select(tables.AtlasRow)).all() == []
    engine.dispose()


def test_f07_a_backup_of_a_store_in_use_is_whole(make_sqlite_store, tmp_path):
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


@pytest.mark.slow
def test_a23_readers_never_see_a_mixture_of_two_runs(store_url):
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
