"""The front page and the page of an atlas: its cells, scores and filters."""

from starlette.testclient import TestClient

from app.domain.records import JobProgress
from app.store.atlas.progress import report_progress
from app.store.database.engine import open_store, write_session
from app.web.drawing.numbers import number
from tests.support.run_data import NOON, StoredRun, make_run, publish
from tests.support.serving import served
from tests.support.soups import only, soup


def test_every_cell_of_the_atlas_links_to_its_head(client: TestClient, run: StoredRun) -> None:
    page = soup(client.get("/tiny").text)
    links = [str(link["href"]) for link in page.select("table.grid td a.cell")]
    assert links == [f"/tiny/heads/{head.ref}" for head in run.heads]
    for link in links:
        assert client.get(link).status_code == 200
    assert [row.select_one("th").text for row in page.select("tr.full")] == ["L0", "L2"]  # type: ignore[union-attr]


def test_the_atlas_shows_the_chosen_score(client: TestClient, run: StoredRun) -> None:
    for score in ("induction", "copying", "query_key_distance"):
        page = soup(client.get(f"/tiny?score={score}").text)
        spoken = [str(cell["aria-label"]).rpartition(" ")[2] for cell in page.select("td a.cell")]
        assert spoken == [number(head.scores[score]) for head in run.heads]
        # Tall cells print it; thin ones where there is something to see.
        tall = [cell.text for cell in page.select("tr.full td a.cell em")]
        assert tall == [number(head.scores[score]) for head in run.heads if head.ref.layer != 1]
    assert client.get("/tiny?score=nope").status_code == 404


def test_the_front_page(store: str, empty_store: str) -> None:
    with TestClient(served(store), follow_redirects=False) as client:
        assert client.get("/").headers["Location"] == "/tiny"
        assert [item["model"] for item in client.get("/atlases.json").json()["atlases"]] == ["tiny"]
        engine = open_store(store)
        publish(engine, make_run("second", seed=2))
        engine.dispose()
        page = soup(client.get("/").text)
        assert [str(link["href"]) for link in page.select("table.list a")] == ["/second", "/tiny"]


def test_an_empty_store_says_what_to_do_and_shows_jobs(empty_store: str) -> None:
    with TestClient(served(empty_store)) as client:
        assert "head-atlas demo" in client.get("/").text
        engine = open_store(empty_store)
        with write_session(engine) as session:
            report_progress(session, JobProgress("ab" * 32, "shards", 3, 12, "shards", 0.5, NOON))
        engine.dispose()
        page = soup(client.get("/").text)
        assert "3 of 12 shards" in page.text
        assert client.get("/atlases.json").json()["jobs"][0]["done"] == 3


def test_filters_fade_what_does_not_match(client: TestClient, run: StoredRun) -> None:
    page = soup(client.get("/tiny?score=entropy&layers=0,2&low=1&high=3").text)
    scores = {str(head.ref): (head.ref.layer, head.scores["entropy"]) for head in run.heads}
    expected = {name for name, (layer, value) in scores.items() if layer in (0, 2) and 1 <= value <= 3}
    cells = page.select("td a.cell")
    assert len(cells) == len(run.heads)
    shown = {str(cell["href"]).rpartition("/")[2] for cell in cells if "off" not in cell["class"]}
    assert 0 < len(expected) < 8
    assert shown == expected
    assert f"{len(expected)} of 12 heads" in page.text
    assert {link.text for link in page.select(".unread-heads")[0].select("a")} == expected
    assert [field.get("value") for field in page.select(".filters input")] == ["entropy", "0,2", "1.0", "3.0"]
    chips = {str(link["href"]) for link in page.select("a.filter-chip")}
    assert chips == {"/tiny?score=entropy&low=1.0&high=3.0", "/tiny?score=entropy&layers=0,2"}
    # The range is one of the score, so another score does not keep it; the layers stay.
    others = {str(link["href"]) for link in page.select("a.thumbnail, a.score-link")}
    assert others >= {
        "/tiny?score=induction&layers=0,2",
        "/tiny?score=copying&layers=0,2",
        "/tiny?colour=type&layers=0,2",
    }


def test_filters_that_match_nothing_or_mean_nothing(client: TestClient) -> None:
    page = soup(client.get("/tiny?score=entropy&layers=1&low=99").text)
    assert "0 of 12 heads: none matches all filters" in page.text
    assert only(page.select(".chips a.link"))["href"] == "/tiny?score=entropy"
    assert "off" not in str(
        soup(client.get("/tiny?score=entropy&layers=&low=&high=").text).select("td a.cell")
    )
    for query in (
        "layers=2-1",
        "layers=x",
        "low=x",
        "low=nan",
        "high=inf",
        "layers=" + "1" * 61,
        "type=x",
        "status=x",
        "role=x",
        "colour=x",
        "order=x",
    ):
        for path in (f"/tiny?{query}", f"/tiny.json?{query}"):
            assert client.get(path).status_code == 422
    for query in ("type=x", "status=x", "role=x", "colour=x", "order=x"):
        assert client.get(f"/tiny?{query}").status_code == 422
    assert "is not a list of layers" in client.get("/tiny?layers=x").text
    assert client.get("/tiny.json?layers=1&score=entropy").json()["n_matching"] == 4
