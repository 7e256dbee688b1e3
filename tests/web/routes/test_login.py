"""Logins: who gets in, what a cookie is worth, and where one is led afterwards."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.errors import AppError
from app.store.annotators import find_annotator, list_annotators, remove_annotator
from app.store.database.engine import open_store, read_session, write_session
from app.store.tables.annotations import SessionRow
from app.web.guards.login_limits import (
    MAX_KEYS,
    PER_ACCOUNT,
    PER_ADDRESS,
    TURNS,
    WINDOW_S,
    LoginLimits,
    TooManyLogins,
)
from app.web.guards.origins import inside
from app.web.sessions import LIFETIME
from tests.support.annotated_atlas import NOW
from tests.support.logins import PASSWORD, add_people, log_in, logged_in, team_app, visitor
from tests.support.serving import served

COOKIE = "head_atlas_session"


@pytest.fixture
def team(store):
    add_people(store, NOW, ada={}, root={"role": "admin"}, eve={"role": "viewer"})
    return team_app(store)


def cookie_of(response):
    return response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "path", ["/", "/tiny", "/tiny/heads/L0H1?rank=fve", "/about", "/embed/tiny/heads/L0H1"]
)
def test_pages_need_a_login_and_lead_back(team, path):
    client = visitor(team)
    response = client.get(path)
    assert response.status_code == 303
    page = client.get(response.headers["Location"])
    assert page.status_code == 200
    target = response.headers["Location"].partition("next=")[2]
    assert log_in(client, "ada", to=path).headers["Location"] == path
    assert target.startswith("/")
    assert client.get(path).status_code in (200, 307)


def test_twins_and_changes_need_a_login_too(team):
    client = visitor(team)
    assert client.get("/tiny/heads/L0H1.json").status_code == 401
    assert client.get("/healthz").status_code == 200
    assert client.get("/static/css/theme.css").status_code == 200
    assert client.post("/me", data={"password": PASSWORD, "new": "x" * 9}).status_code == 401


def test_d07_an_expired_session_leads_htmx_to_the_login(team):
    client = visitor(team)
    page = "http://testserver/tiny/heads/L0H1?k=20"
    response = client.get(
        "/tiny/heads/L0H1?open=L0F3", headers={"HX-Request": "true", "HX-Current-URL": page}
    )
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login?next=/tiny/heads/L0H1%3Fk%3D20"
    evil = {"HX-Request": "true", "HX-Current-URL": "https://evil.example//evil.example"}
    target = client.get("/tiny", headers=evil).headers["HX-Redirect"]
    assert "evil" not in inside(target.partition("next=")[2]) or target.startswith("/login")
    assert log_in(client, "ada", to="//evil.example").headers["Location"] == "/"


def test_e12_a_login_makes_a_new_token_and_closes_the_old(team, store):
    client = logged_in(team, "ada")
    old = client.cookies[COOKIE]
    assert log_in(client, "root").status_code == 303
    assert client.cookies[COOKIE] != old
    replay = visitor(team)
    replay.cookies.set(COOKIE, old)
    assert replay.get("/tiny").status_code == 303
    fixed = visitor(team)
    fixed.cookies.set(COOKIE, "chosen-by-somebody-else")
    log_in(fixed, "ada")
    assert "chosen" not in cookie_of(log_in(fixed, "ada"))
    engine = open_store(store)
    with read_session(engine) as session:
        hashes = list(session.scalars(select(SessionRow.token_hash)))
    assert client.cookies[COOKIE] not in hashes
    engine.dispose()


def test_e13_logout_password_change_and_removal_end_sessions_on_the_server(team, store):
    first, second, third = (logged_in(team, "ada") for _ in range(3))
    token = first.cookies[COOKIE]
    assert first.post("/logout").headers["Location"] == "/login"
    replay = visitor(team)
    replay.cookies.set(COOKIE, token)
    assert replay.get("/tiny.json").status_code == 401
    changed = second.post("/me", data={"password": PASSWORD, "new": "a new long password"})
    assert changed.status_code == 303
    assert second.get("/tiny").status_code == 200
    assert third.get("/tiny.json").status_code == 401
    assert log_in(visitor(team), "ada").status_code == 401
    engine = open_store(store)
    with write_session(engine) as session:
        remove_annotator(session, find_annotator(session, "ada"), NOW)
    engine.dispose()
    assert second.get("/tiny.json").status_code == 401


def test_sessions_expire(team, monkeypatch):
    client = logged_in(team, "ada")
    site = team.state.app_context
    later = site.now() + LIFETIME + timedelta(seconds=1)
    monkeypatch.setattr(site, "now", lambda: later)
    assert client.get("/tiny.json").status_code == 401


@pytest.mark.parametrize(
    ("password", "new", "status"), [("wrong", "long enough", 403), (PASSWORD, "short", 422)]
)
def test_a_password_changes_only_with_the_old_one_and_to_a_strong_one(team, password, new, status):
    client = logged_in(team, "ada")
    assert client.post("/me", data={"password": password, "new": new}).status_code == status
    assert client.get("/me").status_code == 200
    assert log_in(visitor(team), "ada").status_code == 303


def test_e14_cookies(team, store):
    plain = cookie_of(log_in(visitor(team), "ada")).lower()
    assert plain.startswith(f"{COOKIE}=")
    assert "httponly" in plain
    assert "samesite=lax" in plain
    assert "secure" not in plain
    for client in (
        visitor(team, "https://testserver"),
        visitor(team_app(store, public_url="https://testserver"), "https://testserver"),
    ):
        secure = cookie_of(log_in(client, "ada"))
        assert secure.startswith(f"__Host-{COOKIE}=")
        assert "; Secure" in secure
        assert "Path=/" in secure
        assert "Domain" not in secure


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_e14_only_the_cookie_of_the_scheme_counts(team, scheme):
    """A host beside this one can plant the plain cookie: under https it opens nothing, and ends nothing."""
    base = f"{scheme}://testserver"
    victim, planted = logged_in(team, "ada", base), logged_in(team, "root", base)
    own = COOKIE if scheme == "http" else f"__Host-{COOKIE}"
    other = COOKIE if scheme == "https" else f"__Host-{COOKIE}"
    token, foreign = victim.cookies[own], planted.cookies[own]
    assert victim.get("/me", headers={"Cookie": f"{other}={foreign}"}).status_code == 303  # to the login
    for cookies in (f"{own}={token}; {other}={foreign}", f"{other}={foreign}; {own}={token}"):
        assert "ada" in victim.get("/me", headers={"Cookie": cookies}).text
    both = {"Cookie": f"{other}={foreign}; {own}={token}"}
    assert visitor(team, base).post("/logout", headers=both).status_code == 303
    assert planted.get("/me").status_code == 200  # the planted session was neither used nor ended
    assert victim.get("/me").status_code == 303


def test_e15_logins_are_limited_and_say_the_same_of_every_name(team):
    client = visitor(team)
    answers = [log_in(client, "ada", "wrong") for _ in range(PER_ACCOUNT)]
    assert {answer.status_code for answer in answers} == {401}
    refused = log_in(client, "ada")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= WINDOW_S
    unknown = log_in(client, "nobody", "wrong")
    assert unknown.status_code == 401
    assert unknown.text.replace("nobody", "ada") == answers[0].text
    assert log_in(client, "root").status_code == 303


def test_e15_few_passwords_are_checked_at_a_time(team):
    client, turns, busy = visitor(team), team.state.app_context.logins._turns, ExitStack()
    with busy:
        for number in range(TURNS.altogether):
            busy.enter_context(turns.place(f"192.0.2.{number}"))
        refused = log_in(client, "root")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    for _ in range(TURNS.at_once + 1):  # each turn ends with its answer, right or wrong
        assert log_in(client, "root", "wrong").status_code == 401
    assert log_in(client, "root").status_code == 303


def test_limits_forget_after_a_minute_and_hold_little():
    now = [0.0]
    limits = LoginLimits(lambda: now[0])
    for _ in range(PER_ACCOUNT):
        limits.try_once("Ada", "1.2.3.4")
    for name in ("ada", "ADA"):
        with pytest.raises(TooManyLogins):
            limits.try_once(name, "1.2.3.4")
    limits.try_once("ada", "5.6.7.8")
    now[0] = WINDOW_S + 1
    limits.try_once("ada", "1.2.3.4")
    for i in range(PER_ADDRESS - 1):
        limits.try_once(f"name {i}", "1.2.3.4")
    with pytest.raises(TooManyLogins):
        limits.try_once("another", "1.2.3.4")
    limits.forget("ada", "1.2.3.4")


def test_e15_refused_attempts_drive_out_no_count():
    limits = LoginLimits(lambda: 0.0)
    for _ in range(PER_ACCOUNT):
        limits.try_once("ada", "1.2.3.4")
    for i in range(PER_ADDRESS):
        limits.try_once(f"name {i}", "9.9.9.9")
    for i in range(MAX_KEYS + 1):
        with pytest.raises(TooManyLogins):
            limits.try_once(f"another {i}", "9.9.9.9")
    limits.try_once("ben", "5.6.7.8")
    for name, address in (("ada", "1.2.3.4"), ("ben", "9.9.9.9")):
        with pytest.raises(TooManyLogins):
            limits.try_once(name, address)


def test_the_local_annotator_is_made_with_the_first_change_and_has_no_login(store):
    client = visitor(served(store))
    assert client.get("/tiny/heads/L0H1").status_code == 200
    for path in ("/login", "/me"):
        assert client.get(path).status_code == 404
    assert client.post("/login", data={"name": "x", "password": "y"}).status_code == 404
    engine = open_store(store)
    with read_session(engine) as session:
        assert list_annotators(session) == []
    engine.dispose()


def test_e18_a_server_that_others_reach_without_logins_is_for_reading(store):
    from app.settings import Settings
    from app.web.server import ExposedServerError, make_application

    with pytest.raises(ExposedServerError, match="--team"):
        make_application(Settings(store=store, host="0.0.0.0"))  # noqa: S104


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example",
        "/\\evil.example",
        "https:evil.example",
        "https://evil.example",
        "\t//evil.example",
        "/\t/evil.example",
        "//evil.example/tiny",
        "evil",
        "",
        "/tiny\n",
        "javascript:alert(1)",
    ],
)
def test_e08_a_login_leads_to_no_other_site(team, address):
    assert inside(address) == "/"
    assert log_in(visitor(team), "ada", to=address).headers["Location"] == "/"


@given(st.text())
def test_e08_whatever_is_followed_begins_with_one_slash(address):
    followed = inside(address)
    assert followed.startswith("/")
    assert not followed.startswith(("//", "/\\"))
    assert not any(ord(letter) < 33 or letter == "\\" for letter in followed)


def test_a_name_that_cannot_be_one_is_wrong_not_a_fault(team):
    for name in ("\x00", "a\nb", "\u202e", "x" * 1999):
        assert log_in(visitor(team), name).status_code == 401
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visitor(team).post("/login", content=b"\xff\xfe=", headers=form).status_code in (401, 422)
    assert visitor(team).post("/login", content=b"\xff\xfe=").status_code == 415
    assert issubclass(TooManyLogins, AppError)
