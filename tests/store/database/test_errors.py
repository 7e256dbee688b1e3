"""Faults of the disk below a store: a sentence, the store's path for commands only, and an exit code."""

import sqlite3
import sys

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

import app.cli
from app.errors import FaultyDisk, OutOfSpace, StoreBusy
from app.store.database.engine import open_store, read_session, write_session
from tests.support.run_data import make_run, publish
from tests.support.serving import served


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        ("disk I/O error", FaultyDisk, 4),
        ("database or disk is full", OutOfSpace, 4),
        ("database is locked", StoreBusy, 3),
    ],
)
@pytest.mark.parametrize("session", [read_session, write_session])
def test_faults_name_the_store_apart_from_their_sentence(make_sqlite_store, session, words, kind, code):
    store = make_sqlite_store()
    engine = open_store(store)
    with pytest.raises(kind) as caught, session(engine):
        raise sqlite_error(words)
    engine.dispose()
    assert (caught.value.where, caught.value.exit_code) == (store, code)
    assert store not in str(caught.value)


def sqlite_error(words):
    return OperationalError("SELECT 1", None, sqlite3.OperationalError(words))


def test_a_command_tells_the_path_and_a_page_does_not(make_sqlite_store, monkeypatch, capsys):
    store = make_sqlite_store()
    engine = open_store(store)
    publish(engine, make_run())
    engine.dispose()

    def broken(*_):
        raise sqlite_error("disk I/O error")

    with TestClient(served(store), raise_server_exceptions=False) as client:
        monkeypatch.setattr("app.web.dependencies.get_live_state", broken)
        page = client.get("/tiny")
        assert page.status_code == 503
        assert "input/output error" in page.text
        assert store not in page.text
    monkeypatch.setattr("app.store.atlas.reads.get_live_run", broken)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    words = ["export", "annotations", "--model", "tiny", "--out", f"{store}.csv", "--store", store]
    monkeypatch.setattr(sys, "argv", ["head-atlas", *words])
    with pytest.raises(SystemExit) as stopped:
        app.cli.main()
    assert stopped.value.code == 4
    told = capsys.readouterr().err
    assert told == f"error: the disk that holds the store reports an input/output error ({store})\n"
