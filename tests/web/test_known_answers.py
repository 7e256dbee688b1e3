"""Answers repeated without a look at the store: to the same viewer only, and only while nothing was written."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.testclient import TestClient

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.store.annotators import change_annotator, get_annotator, remove_annotator
from app.store.database.engine import open_store, write_session
from app.web.known_answers import MAX_KEY_BYTES
from app.web.page_cache import KeptPage
from app.web.sessions import LIFETIME
from tests.support.annotated_atlas import NOW
from tests.support.annotated_site import annotate
from tests.support.logins import add_people, logged_in, visitor
from tests.support.queries import counted, no_version
from tests.support.run_data import make_run, publish
from tests.support.serving import served

PAGE = "/tiny/heads/L0H0"
PATHS = ("/tiny", "/tiny.json", PAGE, f"{PAGE}.json", "/tiny/layers", "/tiny/features/L0F3")
MINE = "/tiny/heads/L1H0/annotation.json"


@pytest.fixture
def store(store_of_each_engine):
    return store_of_each_engine


def asked_twice(client, path):
    """The answer, which is known from then on."""
    client.get(path)
    return client.get(path)


def engine_of(client):
    assert isinstance(client.app, FastAPI)
    return client.app.state.app_context.engine


@pytest.mark.parametrize("path", PATHS)
def test_the_same_request_is_answered_without_a_query_and_with_the_same_headers(store, path):
    with TestClient(served(store)) as client:
        first = client.get(path)
        with counted(engine_of(client)) as statements:
            second = client.get(path)
            unchanged = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
            head = client.head(path)
    assert not statements
    changing = {"x-request-id"}
    for again in (second, head):
        assert again.headers.keys() == first.headers.keys()
        assert all(again.headers[name] == first.headers[name] for name in first.headers.keys() - changing)
    assert (second.status_code, second.content, head.content) == (200, first.content, b"")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    names = first.headers.keys() - changing - {"content-type", "content-length", "content-encoding"}
    assert all(unchanged.headers[name] == first.headers[name] for name in names)


def test_nobody_gets_what_another_was_sent_or_anything_after_logging_out(team):
    ada, ben, stranger = logged_in(team, "ada"), logged_in(team, "ben"), visitor(team)
    own = {client: [client.get(MINE).text for _ in range(2)] for client in (ada, ben)}
    assert [texts[0] == texts[1] for texts in own.values()] == [True, True]
    assert "draft of ben" in own[ben][0]
    assert "draft of ben" not in own[ada][0]
    assert stranger.get(MINE).status_code == 401
    cookie = {"Cookie": f"head_atlas_session={ben.cookies['head_atlas_session']}"}
    assert stranger.get(MINE, headers=cookie).status_code == 200
    assert ben.post("/logout").status_code == 303
    assert stranger.get(MINE, headers=cookie).status_code == 401


def test_a_login_ends_when_it_ends_though_nothing_was_written(team, monkeypatch):
    ada = logged_in(team, "ada")
    context = team.state.app_context
    now = context.now()
    assert [ada.get(MINE).status_code for _ in range(2)] == [200, 200]
    monkeypatch.setattr(context, "now", lambda: now + LIFETIME + timedelta(seconds=1))
    assert ada.get(MINE).status_code == 401


def test_whoever_is_removed_elsewhere_is_let_in_no_more(team, store):
    ada = logged_in(team, "ada")
    assert [ada.get(MINE).status_code for _ in range(2)] == [200, 200]
    engine = open_store(store)
    with write_session(engine) as session:
        remove_annotator(session, get_annotator(session, "ada"), NOW)
    engine.dispose()
    assert ada.get(MINE).status_code == 401


def test_what_is_written_past_the_server_is_on_the_next_page_and_no_304_hides_it(store):
    add_people(store, NOW, me={"role": "admin"})
    with TestClient(served(store)) as client:
        for path in ("/tiny", PAGE):
            first = asked_twice(client, path)
            annotate(store, "me", HeadAnnotation(notes=path), HeadRef(0, 0), base=int(path == PAGE))
            after = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
            assert (after.status_code, after.text != first.text) == (200, True), path
            assert after.headers["ETag"] != first.headers["ETag"]
        engine = open_store(store)
        publish(engine, make_run(seed=2))
        engine.dispose()
        assert client.get(PAGE).text != after.text


def test_a_fragment_and_the_order_of_work_have_answers_of_their_own(store):
    add_people(store, NOW, me={"role": "admin"})
    with TestClient(served(store)) as client:
        path = "/tiny/heads/L0H0/attention"
        whole, part = client.get(path), client.get(path, headers={"HX-Request": "true"})
        again = client.get(path, headers={"HX-Request": "true"})
        restored = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
        assert part.text == again.text != whole.text
        assert client.get(path, headers=restored).text == whole.text
        by_layer = client.get(PAGE)
        by_score = client.get(PAGE, headers={"Cookie": "order_of_work=score"})
        assert client.get(PAGE, headers={"Cookie": "order_of_work=score"}).text == by_score.text
        assert client.get(PAGE).text == by_layer.text


def test_clients_without_gzip_and_other_hosts_are_served_as_ever(store):
    with TestClient(served(store)) as client:
        first = asked_twice(client, PAGE)
        for accepted in ("identity", "gzip;q=0, identity"):
            plain = client.get(PAGE, headers={"Accept-Encoding": accepted})
            assert "Content-Encoding" not in plain.headers
            assert plain.text == first.text
        assert client.get(PAGE, headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_repeated_answer_is_counted_under_its_route(store):
    with TestClient(served(store)) as client:
        for _ in range(3):
            client.get(PAGE)
        text = client.app.state.app_context.metrics.text()
    assert 'route="/{model}/heads/{head}",status="200"} 3' in text


def test_a_session_that_ended_in_this_server_alone_opens_nothing_that_is_known(team):
    ada = logged_in(team, "ada")
    assert [ada.get(MINE).status_code for _ in range(2)] == [200, 200]
    team.state.app_context.ended.add(ada.cookies["head_atlas_session"])
    assert ada.get(MINE).status_code == 401


def test_long_requests_and_those_of_no_version_are_not_kept(store):
    with TestClient(served(store)) as client:
        context = client.app.state.app_context
        client.get(PAGE, headers={"Cookie": f"other={'x' * MAX_KEY_BYTES}"})
        assert len(context.answers) == 0
        context.version = no_version
        assert [client.get(PAGE).status_code for _ in range(2)] == [200, 200]
        assert len(context.answers) == 0


def test_a_known_viewer_is_the_one_of_the_session_and_of_the_same_version(team, store):
    ada, ben, context = logged_in(team, "ada"), logged_in(team, "ben"), team.state.app_context
    for client, name in ((ada, "ada"), (ben, "ben"), (ada, "ada")):
        with counted(context.engine) as statements:
            names = [
                client.get(f"{path}?n={name}").json()["annotator"]
                for path in (MINE, MINE.replace("L1", "L2"))
            ]
        assert names == [name, name]
        assert sum("annotator_sessions" in statement for statement in statements) <= 1
    engine = open_store(store)
    with write_session(engine) as session:
        change_annotator(session, replace(get_annotator(session, "ada"), name="adele"))
    engine.dispose()
    assert ada.get(MINE).json()["annotator"] == "adele"
    assert visitor(team).get(MINE).status_code == 401


def test_a_known_viewer_is_let_in_no_longer_than_the_login(team, monkeypatch):
    ada, context = logged_in(team, "ada"), team.state.app_context
    now = context.now()
    assert ada.get(MINE).status_code == 200
    monkeypatch.setattr(context, "now", lambda: now + LIFETIME + timedelta(seconds=1))
    assert ada.get("/tiny/layers").status_code == 303


def test_an_answer_keeps_neither_its_page_nor_its_request_in_memory(store):
    with TestClient(served(store)) as client:
        for path in PATHS:
            client.get(path)
        known = list(client.app.state.app_context.answers._answers.values())
    assert len(known) == len(PATHS)
    held = [
        cell.cell_contents
        for answer in known
        for cell in answer.respond.__closure__ + answer.still.__closure__
    ]
    assert not [value for value in held if isinstance(value, KeptPage | Request | bytes)]
