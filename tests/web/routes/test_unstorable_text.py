"""Addresses and forms with text that no column holds: 4xx on both engines, and nothing stored."""

import pytest
from starlette.testclient import TestClient

from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.store_digest import table_digest
from tests.support.unstorable import NUL

ODD = ("%00", "a%00b", "%07", "%ED%A0%80", "%FF", "a" * 5000)
PLACES = (
    "/{odd}",
    "/{odd}.json",
    "/tiny/experiments/{odd}",
    "/tiny/experiments/{odd}.json",
    "/tiny/experiments/{odd}.csv",
    "/tiny/heads/{odd}",
    "/tiny/features/{odd}",
    "/tiny/features/{odd}/notes.json",
    "/tiny/heads/L0H0/history?annotator={odd}",
    "/tiny/heads/L0H0/history.json?annotator={odd}",
    "/tiny/annotations?by={odd}",
    "/tiny/annotations?sort={odd}",
    "/tiny/search.json?q={odd}",
    "/tiny/search?q=near:{odd}",
    "/tiny/compare?heads={odd}",
    "/tiny/prompt?text={odd}",
    "/tiny/annotations/settle/{odd}",
)


@pytest.fixture
def client(engine, store_url):
    publish(engine, make_run())
    with TestClient(served(store_url), follow_redirects=False, raise_server_exceptions=False) as opened:
        yield opened


def test_no_address_with_odd_text_fails(client):
    answers = {place.format(odd=odd): None for place in PLACES for odd in ODD}
    for address in answers:
        answers[address] = client.get(address).status_code
    assert {address: status for address, status in answers.items() if status >= 500} == {}
    assert {status for address, status in answers.items() if "/experiments/" in address} <= {404, 422}


@pytest.mark.parametrize("key", [NUL, "a\x07", "x" * 101, "\u00e9"])
def test_the_forms_key_is_checked(client, engine, key):
    before = table_digest(engine)
    for action in ("save", "undo"):
        form = {"action": action, "notes": "kept", "key": key, "base_version": "0"}
        assert client.post("/tiny/heads/L0H1/annotation", data=form).status_code in (303, 422)
    settled = client.post("/tiny/annotations/settle/L0H1", data={"key": key, "notes": "kept"})
    assert settled.status_code == 422
    assert client.get("/tiny/heads/L0H1/annotation.json").json()["record"] is None
    assert client.get("/tiny/heads/L0H1/history.json").json()["entries"] == []
    assert table_digest(engine) == before


@pytest.mark.parametrize("feature", ["L0F999999", "L9F3", "L0F2147483647", "L0F99999999999"])
def test_a_note_on_a_feature_that_does_not_exist_is_not_found(client, engine, feature):
    sent = {"base_version": "0", "label": "x", "note": "y"}
    assert client.post(f"/tiny/features/{feature}/notes", data=sent).status_code == 404
    assert client.get("/tiny/annotations.json").json()["feature_notes"] == []
