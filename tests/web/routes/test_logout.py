"""Logging out where the store cannot be written: the session ends, and the answer says how far."""

from contextlib import contextmanager

import pytest
from sqlalchemy import select

from app.errors import OutOfSpace
from app.store.database.engine import open_store, read_session
from app.store.tables.annotations import SessionRow
from app.web import dependencies
from tests.support.annotated_atlas import NOW
from tests.support.logins import add_people, logged_in, team_app, visitor
from tests.support.soups import soup

COOKIE = "head_atlas_session"


@pytest.fixture
def team(store):
    add_people(store, NOW, ada={})
    return team_app(store)


@contextmanager
def full_disk(_engine):
    raise OutOfSpace("the disk that holds the store is full; this change was not stored")
    yield


def test_logging_out_on_a_full_disk_ends_the_session_and_says_how_far(team, store, monkeypatch):
    client, other = logged_in(team, "ada"), logged_in(team, "ada")
    token = client.cookies[COOKIE]
    replay = visitor(team)
    replay.cookies.set(COOKIE, token)
    with monkeypatch.context() as patch:
        patch.setattr(dependencies, "write_session", full_disk)
        answer = client.post("/logout")
        assert answer.status_code == 503
        assert f"{COOKIE}=" in answer.headers["Set-Cookie"]
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
        assert soup(answer.text).select_one("main .lead").text == (
            "You are logged out, but the store could not be told: the disk that holds the store is full; this change "
            "was not stored. If the server is restarted before it can be written again, a copy of your cookie is valid "
            "once more, until 14 days after the login."
        )
        assert COOKIE not in client.cookies
        assert replay.get("/tiny.json").status_code == 401
        assert replay.post("/logout").status_code == 401
        assert other.get("/tiny.json").status_code == 200
    assert len(stored_sessions(store)) == 2
    assert (
        other.post("/tiny/heads/L0H1/annotation", data={"action": "skip", "base_version": 0}).status_code
        == 303
    )
    assert len(stored_sessions(store)) == 1  # the next change that is stored takes it down
    assert team.state.app_context.ended == set()
    assert replay.get("/tiny.json").status_code == 401
    assert (
        visitor(team_app(store)).get("/tiny.json", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 401
    )


def stored_sessions(store):
    engine = open_store(store)
    with read_session(engine) as session:
        hashes = session.scalars(select(SessionRow.token_hash)).all()
    engine.dispose()
    return hashes


def test_where_nobody_logs_in_no_token_is_kept(local, monkeypatch):
    monkeypatch.setattr(dependencies, "write_session", full_disk)
    answer = local.post("/logout", headers={"Cookie": f"{COOKIE}=anything", "Origin": "http://testserver"})
    assert answer.status_code == 503
    assert local.app.state.app_context.ended == set()
