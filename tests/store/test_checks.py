"""`db check` and `doctor` say what is wrong with a store, and end with an exit code that is not 0."""

import sys
from pathlib import Path

import pytest
from sqlalchemy import text

import app.cli
from app.errors import InvalidStore
from app.store.checks import check_store
from app.store.database.engine import open_store, write_session
from app.store.database.schema_versions import known_revisions, revision_of_code
from app.store.migrate import upgrade
from tests.support import stored_runs
from tests.support.run_data import make_run, publish

COMMANDS = [["db", "check"], ["doctor"]]


@pytest.fixture
def command(monkeypatch, capsys):
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def call(words, store):
        monkeypatch.setattr(sys, "argv", ["head-atlas", *words, "--store", str(store)])
        with pytest.raises(SystemExit) as stopped:
            app.cli.main()
        return stopped.value.code, capsys.readouterr()

    return call


def refused(command, store, sentence):
    for words in COMMANDS:
        code, told = command(words, store)
        assert (code, len(told.err.splitlines())) == (2, 1), told
        assert sentence in told.err
        assert "sound" not in told.out
        assert str(store) in told.err


def test_a_sound_store_passes_both(command, make_sqlite_store):
    store = make_sqlite_store()
    engine = open_store(store)
    publish(engine, make_run())
    engine.dispose()
    for words in COMMANDS:
        code, told = command(words, store)
        assert (code, told.err) == (0, "")
        assert "sound" in told.out


def test_a_missing_an_empty_and_a_foreign_file(command, tmp_path):
    refused(command, tmp_path / "none.sqlite", "there is no store at")
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    refused(command, empty, "is empty: it has no tables yet")
    assert empty.stat().st_size == 0
    (tmp_path / "text.sqlite").write_text("not a database" * 1000)
    refused(command, tmp_path / "text.sqlite", "is not a SQLite file")


@pytest.mark.parametrize("revision", known_revisions()[:-1])
def test_a_store_of_an_earlier_version(make_store, revision):
    engine = open_store(make_store(tables=False))
    upgrade(engine, revision)
    with pytest.raises(
        InvalidStore, match=f"is at schema revision {revision}, this version needs {revision_of_code()}"
    ):
        check_store(engine)
    upgrade(engine)
    check_store(engine)
    engine.dispose()


def test_a_damaged_store(command, make_sqlite_store):
    path = Path(make_sqlite_store())
    engine = open_store(path)
    stored_runs.publish(engine)
    engine.dispose()
    data = bytearray(path.read_bytes())
    data[4096 * 5 : 4096 * 5 + 2048] = b"\xa5" * 2048
    path.write_bytes(data)
    refused(command, path, "is damaged")


def test_what_the_engine_does_not_notice(engine):
    publish(engine, make_run())
    check_store(engine)
    with write_session(engine) as session:
        session.execute(text("UPDATE atlases SET live_run_id = 999"))
    with pytest.raises(InvalidStore, match="the atlas 'tiny' shows a run that is not there"):
        check_store(engine)
    with write_session(engine) as session:
        session.execute(text("DROP TABLE experiment_heads"))
    with pytest.raises(InvalidStore, match="lacks the table 'experiment_heads'"):
        check_store(engine)


def test_rows_without_what_they_refer_to(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    publish(engine, make_run())
    with engine.execution_options(head_atlas_writes=True).connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("UPDATE runs SET atlas_id = 77")
        connection.commit()
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(InvalidStore, match="1 rows of 'runs' refer to nothing"):
        check_store(engine)
    engine.dispose()


@pytest.mark.parametrize("table", ["sequences", "heads"])
def test_a_run_that_lacks_rows_it_says_it_has(engine, table):
    publish(engine, make_run())
    check_store(engine)
    with write_session(engine) as session:
        session.execute(text("DELETE FROM rankings"))
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    with pytest.raises(InvalidStore, match=rf"run 0{{7}}15eed.* has 0 rows of '{table}' in place of \d+;"):
        check_store(engine)
