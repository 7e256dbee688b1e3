"""Searches are bounded in time and in number; whoever searches as people do never notices."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from app.services.search import time_limit as limits
from app.store.database.engine import open_store, read_session
from app.store.database.time_limits import OutOfTime, time_limit
from app.web.guards.searches import LIMITS, Searches
from app.web.guards.turns import TurnLimits
from app.web.routes import search
from tests.support.annotated_atlas import NOW
from tests.support.logins import add_people, logged_in, team_app
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import HTMX
from tests.support.time_limits import less_than

PATHS = ("/tiny/search?q=the", "/tiny/search.json?q=the", "/tiny/search?q=th&typing=true")
ENDLESS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n"
)


@pytest.fixture
def served_store(make_store: Callable[..., str]) -> Iterator[tuple[FastAPI, Engine]]:
    store = make_store()
    engine = open_store(store)
    publish(engine, make_run())
    yield served(store), engine
    engine.dispose()


def test_a_statement_that_takes_too_long_is_ended_and_the_store_is_read_on(engine: Engine) -> None:
    with (
        less_than(5),
        pytest.raises(OutOfTime),
        read_session(engine) as session,
        time_limit(session, 0.2),
    ):
        session.execute(ENDLESS)
    with pytest.raises(OutOfTime), read_session(engine) as session, time_limit(session, 0.0):
        session.execute(text("SELECT 1"))  # the time is that of all statements together
    with read_session(engine) as session:  # the same connection, without the limit
        with time_limit(session, 60.0):
            assert session.scalar(text("SELECT 1")) == 1
        assert session.scalar(text("SELECT 2")) == 2


@pytest.mark.parametrize("path", PATHS)
def test_a_search_that_takes_too_long_ends_in_a_sentence_that_is_not_kept(
    served_store: tuple[FastAPI, Engine], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    app, _ = served_store
    name = "search_suggestions" if "typing" in path else "search_page"
    real = getattr(search, name)

    def slow(context, *arguments):
        context.session.execute(ENDLESS)
        return real(context, *arguments)

    with TestClient(app, raise_server_exceptions=False) as client:
        monkeypatch.setattr(limits, "SECONDS", 0.2)
        monkeypatch.setattr(search, name, slow)
        answer = client.get(path, headers=HTMX if "typing" in path else {})
        assert answer.status_code == 503
        assert "took longer than 0.2 seconds and was ended" in answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        monkeypatch.undo()
        again = client.get(path, headers=HTMX if "typing" in path else {})
        assert again.status_code == 200
        assert "was ended" not in again.text


def test_more_at_once_than_an_account_may_have_are_told_so_and_others_search_on(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_people(store, NOW, ada={}, ben={})
    app = team_app(store)
    app.state.app_context.searches = Searches(
        TurnLimits(at_once=9, of_one_account=2, altogether=3, wait_s=0.1)
    )
    ada, ben = logged_in(app, "ada"), logged_in(app, "ben")
    held, released, real = threading.Semaphore(0), threading.Event(), search.search_page

    def slow(*arguments):
        held.release()
        assert released.wait(30)
        return real(*arguments)

    monkeypatch.setattr(search, "search_page", slow)
    with ThreadPoolExecutor(3) as pool:
        under_way = [pool.submit(ada.get, f"/tiny/search?q=the&page={n}") for n in (1, 2)]
        for _ in under_way:
            assert held.acquire(timeout=30)
        for path in PATHS:
            refused = ada.get(path, headers=HTMX if "typing" in path else {})
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
            assert "oo many searches are under way already; try again in a moment" in refused.text
        assert ada.get("/tiny").status_code == 200  # all else goes on
        under_way.append(pool.submit(ben.get, "/tiny/search?q=the"))
        assert held.acquire(timeout=30)
        assert ben.get("/tiny/search?q=of").status_code == 429  # three altogether
        released.set()
        assert {each.result().status_code for each in under_way} == {200}
    monkeypatch.undo()
    assert ada.get("/tiny/search?q=of").status_code == 200


def test_people_who_search_as_they_type_are_never_refused(store: str) -> None:
    names = [f"p{i}" for i in range(6)]
    add_people(store, NOW, **{name: {} for name in names})
    app = team_app(store)
    clients = [logged_in(app, name) for name in names]

    def types(client: TestClient) -> set[int]:
        statuses = set[int]()
        for end in range(1, 9):
            typed = "promotes"[:end]
            statuses.add(client.get(f"/tiny/search?q={typed}&typing=true", headers=HTMX).status_code)
        return statuses | {client.get("/tiny/search?q=promotes:the").status_code}

    with ThreadPoolExecutor(2 * len(clients)) as pool:  # each in two tabs
        seen = set[int]().union(*pool.map(types, clients * 2))
    assert seen == {200}
    assert 2 * len(clients) <= LIMITS.altogether
