"""What a page costs: queries that do not grow, and answers without a body where nothing changed."""

from sqlalchemy import Engine
from starlette.testclient import TestClient

from app.store.database.engine import open_store
from tests.support.pages import MOST_QUERIES
from tests.support.queries import count_queries
from tests.support.run_data import make_run, publish
from tests.support.serving import served


def test_the_number_of_queries_is_constant(client: TestClient, site_engine: Engine) -> None:
    client.get("/tiny/heads/L0H0")
    counts = {path: count_queries(site_engine, client, path) for path in MOST_QUERIES}
    assert counts["/tiny/heads/L0H0?k=10"] == counts["/tiny/heads/L0H0?k=11"]
    assert {path: n for path, n in counts.items() if n > MOST_QUERIES[path]} == {}


def test_unchanged_pages_cost_one_look_at_the_run(client: TestClient, site_engine: Engine) -> None:
    for path in ("/tiny/heads/L0H0", "/tiny/heads/L0H0.json", "/tiny/features/L0F3", "/tiny", "/docs"):
        tag = client.get(path).headers["ETag"]
        again = client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    page, other = client.get("/tiny/heads/L0H0"), client.get("/tiny/heads/L0H0?rank=fve")
    assert page.headers["ETag"] != other.headers["ETag"]


def test_a_new_run_changes_the_tag(store: str) -> None:
    with TestClient(served(store)) as client:
        tag = client.get("/tiny/heads/L0H0").headers["ETag"]
        engine = open_store(store)
        publish(engine, make_run(seed=2))
        engine.dispose()
        fresh = client.get("/tiny/heads/L0H0", headers={"If-None-Match": tag})
        assert fresh.status_code == 200
        assert fresh.headers["ETag"] != tag
