"""A change without a login is refused before its form is read, and the form of the login is short."""

import time
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from app.errors import StoreBusy
from app.web import sessions
from app.web.guards.body_limits import MAX_BODY, MAX_LOGIN
from app.web.guards.body_types import _plain
from tests.support.annotated_site import team_of
from tests.support.logins import logged_in, visitor
from tests.support.time_limits import less_than

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=b"}
NO_TEXT = b"notes=\xff"
PART_OF_NO_TEXT = b'--b\r\nContent-Disposition: form-data; name="notes"\r\n\r\n\xff\r\n--b--\r\n'
PATHS = ("/logout", "/me", "/tiny/heads/L0H1/annotation", "/tiny/annotations/import")


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_the_form_is_not_looked_at(store: str, path: str) -> None:
    app = team_of(store)
    bodies = ((NO_TEXT, FORM), (PART_OF_NO_TEXT, PARTS), (b"{}", {"Content-Type": "application/json"}))
    stranger, ada = visitor(app), logged_in(app, "ada")
    stale = visitor(app)
    stale.cookies.set("head_atlas_session", "of a session that has ended")
    for body, headers in bodies:
        for client in (stranger, stale):
            answer = client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.headers["Cache-Control"]) == (401, "no-store")
            assert "Log in to see this atlas; your login is missing or has ended." in answer.text
        if path != "/logout" or headers is not PARTS:  # logging out reads no form
            assert ada.post(path, content=body, headers=headers).status_code in (415, 422)
    led = stranger.post(path, content=NO_TEXT, headers={**FORM, "HX-Request": "true"})
    assert led.headers["HX-Redirect"] == "/login?next=/"


def test_a_whole_mebibyte_of_a_stranger_costs_next_to_nothing(store: str) -> None:
    client = visitor(team_of(store))
    client.get("/login")
    body = b"a=" + "é".encode() * (MAX_BODY // 2 - 1)
    with less_than(0.2, time.process_time):
        assert client.post("/tiny/heads/L0H1/annotation", content=body, headers=FORM).status_code == 401
        assert client.post("/login", content=body, headers=FORM).status_code == 413


def test_the_longest_login_that_can_be_right_is_read(store: str) -> None:
    client = visitor(team_of(store))
    longest = dict.fromkeys(("name", "password", "next"), "\U0001f511" * 2000)
    assert MAX_LOGIN / 2 < len(urlencode(longest)) < MAX_LOGIN
    assert client.post("/login", data=longest).status_code == 401
    assert client.post("/login", content=b"a" * (MAX_LOGIN + 1), headers=FORM).status_code == 413


def test_a_server_without_logins_needs_none(client: TestClient) -> None:
    assert client.post("/tiny/heads/L0H1/annotation", content=NO_TEXT, headers=FORM).status_code == 422


def test_where_the_store_cannot_be_asked_the_answer_says_so(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = logged_in(team_of(store), "ada")

    def busy(*_: object) -> None:
        raise StoreBusy("the store is in use by another process; try again in a moment")

    monkeypatch.setattr(sessions, "find_login", busy)
    assert client.post("/me", data={"password": "", "new": ""}).status_code == 503


@given(st.binary(max_size=60))
def test_a_body_is_escaped_as_by_a_slow_loop(body: bytes) -> None:
    slow = b""
    for byte in body:
        if byte != ord("&") or not slow.endswith(b"&"):
            slow += bytes([byte]) if byte < 128 else f"%{byte:02X}".encode()
    assert _plain(body) == slow
