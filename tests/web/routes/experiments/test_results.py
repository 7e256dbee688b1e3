"""The page of every kind of result: figures, tables, CSV, JSON, links and heads that stand out."""

import csv
import io
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.domain.experiments.scan import UNIVERSALITY
from app.store import experiments
from app.store.database.engine import open_store, write_session
from app.web import urls
from tests.support.experiment_pages import page_of, soup_of
from tests.support.experiment_results import FAILED, NOON, RUNNING, request, results
from tests.support.json_schema import check, refuse
from tests.support.run_data import make_run, publish
from tests.support.serving import served


@pytest.mark.parametrize("name", results())
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_every_result_has_figures_tables_and_csv(
    site: TestClient, ids: dict[str, str], name: str, headers: dict[str, str]
) -> None:
    found = soup_of(site, urls.experiment_url("tiny", ids[name]), **headers)
    assert found.select_one("h1 .mono").text == ids[name]
    figures = found.select("figure.figure")
    assert figures
    for figure in figures:
        assert figure.select_one("h2").text
        assert figure.select_one("figcaption p").text
        assert ids[name] in figure.select_one(".figure-notes").text
        header = [cell.text for cell in figure.select("table.figure-table thead th")]
        response = site.get(figure.select_one(".figure-notes a")["href"])
        assert response.headers["Content-Type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(response.text, newline="")))
        assert rows[0] == header
        assert len(rows) >= 1 + len(figure.select("table.figure-table tbody tr")) > 1
        assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
        for chart in figure.select("svg.plot"):
            assert chart["aria-label"]
            assert "nan" not in str(chart).lower().replace("aria", "")


@pytest.mark.parametrize("name", [*results(), RUNNING, FAILED])
def test_the_twins_match_their_schema(site: TestClient, ids: dict[str, str], name: str) -> None:
    schemas = site.get("/openapi.json").json()["components"]["schemas"]
    for path, kind in (
        (f"{urls.experiment_url('tiny', ids[name])}.json", "ExperimentPage"),
        ("/tiny/experiments.json", "ExperimentsPage"),
    ):
        value = json.loads(site.get(path).text, parse_constant=refuse)
        assert check(value, {"$ref": f"#/components/schemas/{kind}"}, schemas) == []


@pytest.mark.parametrize(
    ("name", "seed"), [("head-ablation", 5), ("weight-vs-fve", None), (RUNNING, 6), (FAILED, 6)]
)
def test_only_what_is_drawn_at_random_has_a_seed(
    site: TestClient, ids: dict[str, str], name: str, seed: int | None
) -> None:
    found = soup_of(site, urls.experiment_url("tiny", ids[name]))
    [fact] = [row.dd.text for row in found.select("dl > div") if row.dt.text == "seed"]
    assert fact == ("none: nothing is drawn at random" if seed is None else str(seed))
    [row] = [row for row in soup_of(site, "/tiny/experiments").select("tbody tr") if row.th.text == ids[name]]
    assert row.select("td")[2].text.split() == ["seed", "–" if seed is None else str(seed)]
    assert site.get(f"{urls.experiment_url('tiny', ids[name])}.json").json()["experiment"]["seed"] == seed


def test_a_link_for_each_threshold_and_kind_of_ablation(site: TestClient, ids: dict[str, str]) -> None:
    found = page_of(site, ids, "long-prefix-induction", threshold="0.5", heads="L1H1")
    links = found.select("#natural .segmented a")
    assert [link.text for link in links] == [f"0.{i}" for i in range(1, 10)]
    assert [link.text for link in links if link.get("aria-current")] == ["0.5"]
    assert "above 0.5" in found.select_one("#natural figcaption").text
    for link in links:
        assert "heads=L1H1" in str(link["href"])
        assert site.get(str(link["href"])).status_code == 200
    found = page_of(site, ids, "head-ablation", mode="mean")
    assert "mean over the task's tokens" in found.select_one("figcaption").text
    assert [a.text for a in found.select("#induction .segmented a")] == ["zero", "mean"]
    found = page_of(site, ids, "weight-vs-fve", definition="residual", tokens="all")
    assert "1 − Var(p − c) / Var(p) over all tokens" in found.select_one("figcaption").text


def test_heads_are_told_apart_and_linked(site: TestClient, ids: dict[str, str]) -> None:
    found = page_of(site, ids, "long-prefix-induction")
    attention = found.select_one("#attention")
    assert attention.select_one("h2").text.endswith("L1H0, L1H1, L0H0")
    assert [path["class"][0] for path in attention.select("path[class^=line]")] == ["lineC", "lineB", "lineA"]
    ends = {text.text for text in attention.select("text.text-bold")}
    assert ends == {"L1H0", "L1H1", "L0H0"}
    assert (
        len(found.select("#corrupted path.hollow")) == len(found.select("#corrupted text.text-bold")) / 2 == 3
    )
    assert [a["href"] for a in found.select(".head-findings dt a")] == [
        "/tiny/heads/L0H0",
        "/tiny/heads/L1H0",
        "/tiny/heads/L1H1",
    ]
    only = page_of(site, ids, "long-prefix-induction", heads="L1H1")
    assert [path["class"][0] for path in only.select("#attention path[class^=line]")] == ["lineA"]


def test_heads_that_stand_out_are_marked_and_named(site: TestClient, ids: dict[str, str]) -> None:
    figure = page_of(site, ids, "head-ablation").select_one("#induction")
    assert figure.select_one("h2").text == "induction: L1H0 stands out"
    assert len(figure.select("path.barS")) == len(figure.select("text.text-bold")) == 1
    assert len(figure.select("path.barN")) == 3


def test_the_scans_of_other_models_stand_beside(
    experiment_store: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    path = shutil.copyfile(experiment_store[0], tmp_path / "store.sqlite")
    engine = open_store(path)
    publish(engine, make_run("other"))
    scan = results()["universality"]
    for minutes, model in ((1, "older"), (2, "newer")):
        with write_session(engine) as session:
            asked = request("universality", atlas="other", seed=minutes)
            made = experiments.begin(session, asked, NOON + timedelta(minutes=minutes))
            packed = UNIVERSALITY.pack(replace(scan, model=model))
            experiments.finish(session, made, 1.0, "x", {}, packed)
    engine.dispose()
    with TestClient(served(str(path))) as opened:
        found = soup_of(opened, urls.experiment_url("tiny", experiment_store[1]["universality"]))
        assert [caption.text for caption in found.select("#scan h3")] == [scan.model, "newer"]
        assert len(found.select("#scan svg.plot")) == 2
        rows = opened.get(
            urls.experiment_csv_url("tiny", experiment_store[1]["universality"])
        ).text.splitlines()
        assert len(rows) == 1 + 2 * len(scan.heads)


def test_a_result_of_another_version_is_no_page(
    experiment_store: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    path = shutil.copyfile(experiment_store[0], tmp_path / "store.sqlite")
    engine = open_store(path)
    with write_session(engine) as session:
        old = experiments.get_experiment(session, "tiny", experiment_store[1]["universality"])
        again = experiments.begin(session, replace(old.request, seed=99), old.created_at)
        packed = UNIVERSALITY.pack(results()["universality"])
        experiments.finish(session, again, 1.0, "x", {}, {**packed, "version": 99})
    engine.dispose()
    with TestClient(served(str(path)), raise_server_exceptions=False) as opened:
        response = opened.get(urls.experiment_url("tiny", again))
    assert response.status_code == 503
    assert "Traceback" not in response.text
