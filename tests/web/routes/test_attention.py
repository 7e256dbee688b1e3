"""The page of what a head attends to: whole without scripts, a part for htmx, within its weight, and in exports."""

import pytest
from sqlalchemy import Engine, delete
from starlette.testclient import TestClient

from app.store.database.engine import open_store, write_session
from app.store.tables.atlas import HeadAttentionRow
from tests.support.response_sizes import MAX_HTML
from tests.support.run_data import StoredRun
from tests.support.serving import served
from tests.support.soups import HTMX, only, soup

PATH = "/tiny/heads/L0H1/attention"


def test_the_page_is_whole_and_htmx_gets_the_part(client: TestClient) -> None:
    whole, part = client.get(PATH), client.get(PATH, headers=HTMX)
    assert whole.status_code == part.status_code == 200
    assert int(whole.headers["Content-Length"]) <= MAX_HTML
    page = soup(whole.text)
    only(page.find_all("h1"))
    article = only(page.select("main article.attention"))
    assert only(soup(part.text).select("article")).get_text() == article.get_text()
    assert not soup(part.text).find_all("h1")
    assert len(article.select("ol.examples > li")) == 10
    assert only(article.select("#pattern svg")).select("path")


def test_its_links_lead_to_groups_and_patterns(client: TestClient) -> None:
    article = only(soup(client.get(PATH).text).select("article.attention"))
    links = [link["href"] for link in article.select("a.in-place")]
    assert len(links) == 6 + 10
    for link in links[1::5]:
        answer = client.get(link)
        assert answer.status_code == 200
        chosen = soup(answer.text).select("a.in-place[aria-current]")
        assert link.split("#")[0] in [each["href"].split("#")[0] for each in chosen]


def test_the_page_of_a_head_leads_to_it_or_holds_it(client: TestClient, run: StoredRun) -> None:
    with_sae, without = (client.get(f"/tiny/heads/{head}").text for head in ("L0H1", "L1H2"))
    assert only(soup(with_sae).select("article.attention a"))["href"] == PATH
    assert not soup(with_sae).select("#pattern")
    assert only(soup(without).select("article.attention")).select("#pattern svg")


def test_a_run_from_before_says_what_a_new_one_adds(store: str) -> None:
    engine: Engine = open_store(store)
    with write_session(engine) as session:
        session.execute(delete(HeadAttentionRow))
    engine.dispose()
    with TestClient(served(store)) as client:
        assert "Precompute the atlas again" in client.get(PATH).text
        assert "Precompute the atlas again" in client.get(PATH, headers=HTMX).text
        assert client.get(f"{PATH}.json").json()["evidence"] is None
        assert not soup(client.get("/tiny/heads/L0H1").text).select("article.attention")
        assert "A new run would store" in client.get("/tiny/heads/L1H2").text
        assert client.get("/tiny/heads/L1H2.json").json()["has_attention"] is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tiny/heads/0.1/attention", 308),
        ("/tiny/heads/0.1/attention.json", 308),
        ("/tiny/heads/L9H9/attention", 404),
        (f"{PATH}?group=7", 404),
        (f"{PATH}?example=44", 404),
        (f"{PATH}?example=-1", 422),
        ("/tiny/heads/L0H0/attention", 200),
    ],
)
def test_other_addresses(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_the_json_has_every_example(client: TestClient, run: StoredRun) -> None:
    value = client.get(f"{PATH}.json").json()["evidence"]
    assert len(value["examples"]) == 20 + 5 * 10
    assert value["sink_share"] == pytest.approx(0.62)
    assert sum(part["share"] for part in value["distances"]) == pytest.approx(1)
    assert "pairs" not in value
