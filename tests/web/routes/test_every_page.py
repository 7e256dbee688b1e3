"""Every page: with and without htmx, what its template is given, what it prints, what it asks the store."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from bs4 import Tag
from fastapi import FastAPI
from jinja2 import meta, nodes
from starlette.testclient import TestClient

from app.domain.records import JobProgress
from app.domain.refs import FeatureRef, HeadRef
from app.paths import frontend_dir
from app.services.about import AboutPage
from app.services.atlas.annotation_models import HeadCard
from app.services.atlas.models import AtlasPage, IndexPage
from app.services.compare.models import ComparePage
from app.services.features.figure_models import WholeExample
from app.services.features.models import FeaturePage, LayerPage
from app.services.heads.models import HeadFeatureRow, HeadPage
from app.services.search.models import SearchPage
from app.store.atlas.progress import report_progress
from app.store.database.engine import open_store, write_session
from app.web.drawing.numbers import MISSING, activation, number
from app.web.error_models import ErrorPage
from app.web.render import Renderer
from app.web.schema import DocsPage
from tests.support.response_sizes import MAX_HTML
from tests.support.run_data import NOON, StoredRun, make_run, publish
from tests.support.serving import served
from tests.support.soups import soup

PAGES = {
    "/tiny": "AtlasPage",
    "/tiny?score=copying": "AtlasPage",
    "/tiny?colour=type": "AtlasPage",
    "/tiny?colour=groups&order=value": "AtlasPage",
    "/tiny?colour=progress": "AtlasPage",
    "/tiny/heads/L0H1/card": "HeadCard",
    "/tiny/heads/L0H1": "HeadPage",
    "/tiny/heads/L0H1?rank=fve&k=3&open=L0F3": "HeadPage",
    "/tiny/heads/L1H2": "HeadPage",
    "/tiny/features/L0F3": "FeaturePage",
    "/tiny/features/L0F3?head=L0H2": "FeaturePage",
    "/tiny/features/L2F80": "FeaturePage",
    "/tiny/features/L0F3?align=token": "FeaturePage",
    "/tiny/layers/2": "LayerPage",
    "/tiny/compare": "ComparePage",
    "/tiny/compare?heads=L0H1": "ComparePage",
    "/tiny/compare?heads=L0H1,L0H3&rank=fve": "ComparePage",
    "/tiny/compare?heads=L0H1,L0H3,L1H0,L2H0": "ComparePage",
    "/tiny/search": "SearchPage",
    "/tiny/search?q=the": "SearchPage",
    "/tiny/search?q=score:induction%3E0.01": "SearchPage",
    "/tiny/search?q=foo:bar": "SearchPage",
    "/embed/tiny/heads/L0H1": "HeadPage",
    "/embed/tiny/features/L0F3": "FeaturePage",
    "/about": "AboutPage",
    "/docs": "DocsPage",
}
TEMPLATES = {
    "pages/index.html": IndexPage,
    "pages/atlas.html": AtlasPage,
    "pages/head.html": HeadPage,
    "pages/feature.html": FeaturePage,
    "pages/layer.html": LayerPage,
    "pages/compare.html": ComparePage,
    "pages/search.html": SearchPage,
    "embed/head.html": HeadPage,
    "embed/feature.html": FeaturePage,
    "pages/about.html": AboutPage,
    "pages/error.html": ErrorPage,
    "pages/docs.html": DocsPage,
    "partials/error.html": ErrorPage,
    "partials/feature_row.html": HeadFeatureRow,
    "partials/head_card.html": HeadCard,
    "partials/whole_example.html": WholeExample,
}
HTMX = {"HX-Request": "true"}


def only(found: list[Tag]) -> Tag:
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
@pytest.mark.parametrize("path", [path for path in PAGES if "open=" not in path and "/card" not in path])
def test_pages_are_whole(client: TestClient, path: str, headers: dict[str, str]) -> None:
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    page = soup(response.text)
    only(page.find_all("main"))
    only(page.find_all("h1"))
    # Browsers that know how wait for all of it, so that half a page is never laid out.
    assert only(page.select("link[rel=expect][blocking=render]"))["href"] == "#keys"
    assert page.select("body > *")[-1]["id"] == "keys"  # so all of the page is there when it is painted
    assert response.headers["Vary"] == "HX-Request, Accept-Encoding"
    assert int(response.headers["Content-Length"]) <= MAX_HTML


@pytest.mark.parametrize(("path", "name"), PAGES.items())
def test_templates_get_the_documented_fields_and_no_more(
    app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    given: list[tuple[str, set[str]]] = []
    renderer: Renderer = app.state.app_context.renderer
    load = renderer.environment.get_template

    class Spy:
        def __init__(self, name: str) -> None:
            self.name = name

        def render(self, context: dict[str, object]) -> str:
            given.append((self.name, set(context)))
            return load(self.name).render(context)

    def spy(name: str, parent: str | None = None, **rest: Any) -> Any:
        # Templates that others extend or include are asked for with their parent.
        return load(name, parent, **rest) if parent or given else Spy(name)

    monkeypatch.setattr(renderer.environment, "get_template", spy)
    assert client.get(path).status_code == 200
    [(template, keys)] = given
    page = TEMPLATES[template]
    assert page.__name__ == name
    assert keys == {field.name for field in fields(page)}


@pytest.mark.parametrize(("template", "page"), TEMPLATES.items())
def test_templates_use_documented_fields_only(template: str, page: type) -> None:
    environment = Renderer(frontend_dir()).environment
    known = {field.name for field in fields(page)} | set(environment.globals)

    used: set[str] = set()

    def walk(name: str) -> None:
        assert environment.loader is not None
        tree = environment.parse(environment.loader.get_source(environment, name)[0])
        used.update(meta.find_undeclared_variables(tree))
        known.update(str(part) for found in tree.find_all(nodes.FromImport) for part in found.names)
        known.update(part.name for part in tree.find_all(nodes.Name) if part.ctx == "store")
        known.update(macro.name for macro in tree.find_all(nodes.Macro))
        for other in meta.find_referenced_templates(tree):
            if other and not other.startswith("macros/"):
                walk(other)

    walk(template)
    assert used - known == set()


def test_an_example_opens_to_its_whole_text(client: TestClient, run: StoredRun) -> None:
    examples = run.features[FeatureRef(0, 3)].examples
    assert examples is not None
    target = f"/tiny/features/L0F3?head=L0H2&open={examples.sequence[4]}.{examples.position[4]}"
    links = [
        str(link["href"])
        for link in soup(client.get("/tiny/features/L0F3?head=L0H2").text).select("a.whole-link")
    ]
    assert target in links
    row = only(soup(client.get(target, headers=HTMX).text).find_all("li"))
    page = soup(client.get(target).text)
    assert (
        only(page.select("li.whole-example")).select_one(".whole-text").text
        == row.select_one(".whole-text").text
    )  # type: ignore[union-attr]
    assert len(row.select(".whole-text > * > *")) == 2 * len(run.sequences[0])
    assert len(page.select("li.example-row")) == len(links)
    assert str(page.select("li.whole-example a.whole-link")[0]["href"]) == "/tiny/features/L0F3?head=L0H2"
    assert client.get("/tiny/features/L0F3?open=0.0").status_code == 404
    assert client.get("/tiny/features/L0F3?open=x").status_code == 422


def test_a_head_page_shows_its_features_in_order(client: TestClient, run: StoredRun) -> None:
    head = HeadRef(0, 1)
    for rank in ("decoder_weight", "fve"):
        page = soup(client.get(f"/tiny/heads/{head}?rank={rank}").text)
        shown = [row["id"] for row in page.select("article.feature-entry")]
        ranking = run.rankings[head, rank]
        assert shown == [str(place.ref) for place in ranking.features[:10]]
        shifts = [mark.text for mark in page.select(".rank i")]
        moved = [place.other_rank - place.rank for place in ranking.features[:10]]
        assert shifts == ["=" if not by else f"▼{by}" if by > 0 else f"▲{-by}" for by in moved]


def test_the_strongest_row_is_open_and_one_can_choose(client: TestClient, run: StoredRun) -> None:
    ranking = run.rankings[HeadRef(0, 1), "decoder_weight"]
    page = soup(client.get("/tiny/heads/L0H1").text)
    assert only(page.select("article.open"))["id"] == str(ranking.features[0].ref)
    assert len(page.select("article.open ol.examples li")) == 10
    other = ranking.features[4].ref
    page = soup(client.get(f"/tiny/heads/L0H1?open={other}").text)
    assert only(page.select("article.open"))["id"] == str(other)


def test_every_row_opens_without_scripts(client: TestClient) -> None:
    page = soup(client.get("/tiny/heads/L0H1").text)
    links = page.select("a.open-link")
    assert len(links) == 9
    for link in links:
        address, _, place = str(link["href"]).partition("#")
        row = only(soup(client.get(address).text).select("article.open"))
        assert row["id"] == place
        part = client.get(address, headers=HTMX)
        fragment = only(soup(part.text).find_all("article", recursive=False))
        assert row["id"] == fragment["id"]
        assert fragment.select("li")
        assert str(fragment) == str(row)
        assert not soup(part.text).find("main")
        assert part.headers["Cache-Control"] == "no-store"
        assert part.headers["Vary"] == "HX-Request, Accept-Encoding"
        assert int(part.headers["Content-Length"]) <= MAX_HTML


def test_groups_of_an_open_row_can_be_chosen(client: TestClient, run: StoredRun) -> None:
    ref = run.rankings[HeadRef(0, 1), "decoder_weight"].features[0].ref
    page = soup(client.get(f"/tiny/heads/L0H1?open={ref}&group=3", headers=HTMX).text)
    group = run.features[ref].groups[3]
    shown = f"{activation(group.lower)}{MISSING}{activation(group.upper)}"
    assert only(page.select(".intervals a[aria-current]")).text == shown
    assert client.get(f"/tiny/heads/L0H1?open={ref}&group=17").status_code == 404


def test_a_history_restore_gets_the_page(client: TestClient, run: StoredRun) -> None:
    ref = run.rankings[HeadRef(0, 1), "decoder_weight"].features[2].ref
    headers = {**HTMX, "HX-History-Restore-Request": "true"}
    assert soup(client.get(f"/tiny/heads/L0H1?open={ref}", headers=headers).text).find("main")


def test_pairs_show_source_and_firing_token_at_the_hinge(client: TestClient, run: StoredRun) -> None:
    head = HeadRef(0, 1)
    page = soup(client.get(f"/tiny/heads/{head}?rank=fve").text)
    for row in page.select("article.feature-entry"):
        record = run.features[FeatureRef.parse(str(row["id"]))]
        assert record.examples is not None
        tokens = run.sequences[record.examples.sequence[0]]
        source, n = int(record.examples.source[0, 1, 0]), int(record.examples.prefix_length[0, 1])
        pair = row.select_one("ol.examples li") or row.select_one(".preview")
        assert pair is not None
        peak = only(pair.select(".source-strip > i .peak"))
        assert re.match(rf"(#|token ){tokens[source]}\b", str(peak["title"]))
        firing = only(pair.select(".destination-strip > b .peak"))
        assert re.match(rf"(#|token ){tokens[record.examples.position[0]]}\b", str(firing["title"]))
        assert only(pair.select(".prefix-badge")).text == (str(n) if n else MISSING)
        # The prefix is under-lined in both strips, and is the same text.
        read = [token.text for token in pair.select(".source-strip .matched")]
        assert read == [token.text for token in pair.select(".destination-strip .matched")]
        assert len(read) == n


def test_a_layer_without_an_sae_has_scores_only(client: TestClient, run: StoredRun) -> None:
    page = soup(client.get("/tiny/heads/L1H2").text)
    assert not page.select("article.feature-entry")
    assert "no SAE for layer 1" in page.text
    head = next(head for head in run.heads if head.ref == HeadRef(1, 2))
    assert len(page.select(".scores > div")) == len(head.scores)


def test_a_residual_above_tolerance_is_shown(empty_store: str) -> None:
    made = make_run()
    ref = made.rankings[HeadRef(0, 1), "decoder_weight"].features[0].ref
    bad = made.features[ref]
    assert bad.examples is not None
    residual = bad.examples.residual.copy()
    residual[0] = 0.02
    made.features[ref] = replace(bad, examples=replace(bad.examples, residual=residual), worst_residual=0.02)
    engine = open_store(empty_store)
    publish(engine, made)
    engine.dispose()
    with TestClient(served(empty_store)) as client:
        page = soup(client.get("/tiny/heads/L0H1").text)
        assert "DFA sums check on 9 of 10 features" in page.text
        row = only(page.select(f"#{ref}"))
        assert "err 2e-2, tolerance 1e-4" in row.text
        assert len(row.select("li.bad")) == 1


def test_a_dead_feature_has_a_page_without_examples(client: TestClient) -> None:
    text = client.get("/tiny/features/L2F80").text
    assert "No activations in" in text
    assert "Histogram of activations" not in text
    assert "nan" not in text.lower().replace("finance", "")


def test_the_feature_page_reads_through_any_head(client: TestClient, run: StoredRun) -> None:
    ref = FeatureRef(0, 3)
    largest = int(run.features[ref].decoder_weight_share.argmax())
    assert f"DFA of L0H{largest}" in client.get(f"/tiny/features/{ref}").text
    for head in range(4):
        page = soup(client.get(f"/tiny/features/{ref}?head=L0H{head}").text)
        assert f"DFA of L0H{head}" in page.text
        assert len(page.select("ol.examples")) == 6
    assert client.get(f"/tiny/features/{ref}?head=L2H0").status_code == 404


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
    assert "0 of 12 heads: none fits all of these" in page.text
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


def test_the_sheet_names_every_key(client: TestClient) -> None:
    sheet = only(soup(client.get("/tiny").text).select("dialog#keys"))
    named = {key.text for key in sheet.select("kbd")}
    for path in (
        "/tiny",
        "/tiny/heads/L0H1",
        "/tiny/features/L0F3",
        "/tiny/compare?heads=L0H1,L0H3",
        "/tiny/search",
    ):
        page = soup(client.get(path).text)
        keys = {str(link["data-key"]) for link in page.select("[data-key]")}
        assert {key for key in keys if not key.isdigit()} <= named
        assert {key.text for key in page.select(".status kbd") if not key.text.isdigit()} <= named
