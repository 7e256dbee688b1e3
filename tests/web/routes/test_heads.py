"""Pages of heads: the order of features, open rows, whole examples, aligned pairs, and heads without an SAE."""

import re
from dataclasses import replace

from starlette.testclient import TestClient

from app.domain.refs import FeatureRef, HeadRef
from app.store.database.engine import open_store
from app.web.drawing.numbers import MISSING, activation
from tests.support.response_sizes import MAX_HTML
from tests.support.run_data import StoredRun, make_run, publish
from tests.support.serving import served
from tests.support.soups import HTMX, only, soup


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
