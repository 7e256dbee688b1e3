"""What is made ready soon after the start: the first pages find templates, vocabulary and heads in memory."""

import threading
from dataclasses import replace

import fastapi.routing
import pytest
from starlette.testclient import TestClient

from app.services.reading.token_index import TokenIndex
from app.store.database.engine import open_store
from app.web import warming
from app.web.warming import warm
from tests.support.queries import counted
from tests.support.run_data import make_run, publish, without_saes
from tests.support.serving import served


def test_templates_and_what_a_run_cannot_change_are_in_memory(store, monkeypatch):
    app = served(store)
    context = app.state.app_context
    warm(context)
    loaded = context.renderer.environment.cache
    names = {key[1] for key in list(loaded.keys())}
    assert {"pages/atlas.html", "pages/head.html", "pages/feature.html", "pages/search.html"} <= names
    monkeypatch.setattr(TokenIndex, "of", None)  # is not made again
    with TestClient(app) as client, counted(context.engine) as statements:
        assert client.get("/tiny/heads/L0H0").status_code == 200
        assert client.get("/tiny/search?q=promotes:a").status_code == 200
    assert not [
        statement for statement in statements if "vocabular" in statement or "head_scores" in statement
    ]


def test_soon_after_the_start_the_first_request_finds_routes_and_templates(store, monkeypatch):
    app = served(store)
    monkeypatch.setattr(warming, "AFTER_S", 0.0)
    monkeypatch.setattr(warming.gc, "freeze", lambda: None)
    warming.warm_soon(app)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(60)
    assert len(app.state.app_context.renderer.environment.cache) > 0
    declared = []
    put_together = fastapi.routing.get_dependant
    monkeypatch.setattr(
        fastapi.routing, "get_dependant", lambda **asked: declared.append(asked) or put_together(**asked)
    )
    with TestClient(app) as client:
        assert client.get("/tiny/search").status_code == 200
    assert declared == []
    with TestClient(served(store)) as client:
        client.get("/tiny/search")
    assert declared  # by a server of its own


def test_a_store_without_an_atlas_is_served_all_the_same(empty_store):
    app = served(empty_store)
    warm(app.state.app_context)
    with TestClient(app) as client:
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("run", [make_run(), without_saes(make_run())], ids=["an SAE", "no SAE"])
def test_an_atlas_without_heads_is_drawn_and_the_next_one_is_warmed(empty_store, run):
    engine = open_store(empty_store)
    publish(engine, replace(run, slug="a-bare-one", heads=[], rankings={}, attention={}))
    publish(engine, make_run("tiny", seed=2))
    engine.dispose()
    app = served(empty_store)
    context, drawn = app.state.app_context, []
    draw = context.renderer.html
    context.renderer.html = lambda template, page: (
        drawn.append((template, page.model)) or draw(template, page)
    )
    warm(context)
    assert drawn == [
        ("pages/atlas.html", "a-bare-one"),
        ("pages/atlas.html", "tiny"),
        ("pages/head.html", "tiny"),
        ("pages/feature.html", "tiny"),
    ]
