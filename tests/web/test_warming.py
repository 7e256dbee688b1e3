"""What is made ready soon after the start: the first pages find templates, vocabulary and heads in memory."""

from starlette.testclient import TestClient

from app.web.warming import warm
from tests.support.queries import counted
from tests.support.serving import served


def test_templates_and_what_a_run_cannot_change_are_in_memory(store):
    app = served(store)
    context = app.state.app_context
    warm(context)
    loaded = context.renderer.environment.cache
    names = {key[1] for key in list(loaded.keys())}
    assert {"pages/atlas.html", "pages/head.html", "pages/feature.html", "pages/search.html"} <= names
    with TestClient(app) as client, counted(context.engine) as statements:
        assert client.get("/tiny/heads/L0H0").status_code == 200
    assert not [
        statement for statement in statements if "vocabular" in statement or "head_scores" in statement
    ]


def test_a_store_without_an_atlas_is_served_all_the_same(empty_store):
    app = served(empty_store)
    warm(app.state.app_context)
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
