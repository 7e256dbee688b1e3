"""Pages of experiments: the list, every kind of result, those that run or failed, tables and CSV."""

import csv
import io
import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app import cli
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixResult
from app.domain.experiments.registry import KINDS
from app.domain.experiments.scan import UNIVERSALITY
from app.domain.refs import HeadRef
from app.errors import InvalidStore
from app.services.experiments.page import ablation_command
from app.services.heads.experiments import experiments_of
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store import experiments
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session, write_session
from app.web import urls
from tests.support.experiment_results import FAILED, NOON, RUNNING, request, results, store_experiments
from tests.support.json_schema import check, refuse
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import soup as parsed

MAX_HTML = 100_000


@pytest.fixture(scope="module")
def stored(published: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    path = shutil.copyfile(published, tmp_path_factory.mktemp("experiments") / "store.sqlite")
    engine = open_store(path)
    ids = store_experiments(engine)
    engine.dispose()
    return str(path), ids


@pytest.fixture(scope="module")
def ids(stored: tuple[str, dict[str, str]]) -> dict[str, str]:
    return stored[1]


@pytest.fixture(scope="module")
def site(stored: tuple[str, dict[str, str]]) -> Iterator[TestClient]:
    with TestClient(served(stored[0]), follow_redirects=False) as opened:
        yield opened


def soup(site: TestClient, path: str, **headers: str) -> BeautifulSoup:
    response = site.get(path, headers=headers)
    assert response.status_code == 200
    assert len(response.content) < MAX_HTML
    return parsed(response.text)


def page(site: TestClient, ids: dict[str, str], name: str, **query: str) -> BeautifulSoup:
    return soup(site, urls.experiment_url("tiny", ids[name], **query))


def test_the_list_has_every_experiment_with_its_end(site: TestClient, ids: dict[str, str]) -> None:
    rows = soup(site, "/tiny/experiments").select(".experiment-table tbody tr")
    by_id = {row.select_one("th").text: row.text for row in rows}
    assert set(by_id) == set(ids.values())
    assert "running" in by_id[ids[RUNNING]]
    assert "the disk <that holds> the store is full" in by_id[ids[FAILED]]
    assert "long-prefix: L1H1" in by_id[ids["long-prefix-induction"]]
    assert soup(site, "/tiny").select('nav a[href="/tiny/experiments"]')


def test_an_atlas_without_experiments_says_how_to_run_one(client: TestClient) -> None:
    assert "head-atlas experiment --help" in client.get("/tiny/experiments").text


@pytest.mark.parametrize("name", results())
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_every_result_has_figures_tables_and_csv(
    site: TestClient, ids: dict[str, str], name: str, headers: dict[str, str]
) -> None:
    found = soup(site, urls.experiment_url("tiny", ids[name]), **headers)
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


def test_a_running_and_a_failed_one_keep_the_frame(site: TestClient, ids: dict[str, str]) -> None:
    running, failed = page(site, ids, RUNNING), page(site, ids, FAILED)
    assert running.select_one(".blank .job p").text.startswith("attention by prefix length")
    assert "30 of 120 sequences, 4 a second" in running.select_one(".blank").text
    assert "the disk <that holds> the store is full" in failed.select_one(".experiment-top").text
    assert "It stopped after 3 s." in failed.select_one(".blank").text
    assert not running.select("figure") + failed.select("figure")
    for name in (RUNNING, FAILED):
        assert site.get(urls.experiment_csv_url("tiny", ids[name])).status_code == 404


def test_a_link_for_each_threshold_and_kind_of_ablation(site: TestClient, ids: dict[str, str]) -> None:
    found = page(site, ids, "long-prefix-induction", threshold="0.5", heads="L1H1")
    links = found.select("#natural .segmented a")
    assert [link.text for link in links] == [f"0.{i}" for i in range(1, 10)]
    assert [link.text for link in links if link.get("aria-current")] == ["0.5"]
    assert "above 0.5" in found.select_one("#natural figcaption").text
    for link in links:
        assert "heads=L1H1" in str(link["href"])
        assert site.get(str(link["href"])).status_code == 200
    found = page(site, ids, "head-ablation", mode="mean")
    assert "mean over the task's tokens" in found.select_one("figcaption").text
    assert [a.text for a in found.select("#induction .segmented a")] == ["zero", "mean"]
    found = page(site, ids, "weight-vs-fve", definition="residual", tokens="all")
    assert "1 − Var(p − c) / Var(p) over all tokens" in found.select_one("figcaption").text


def test_heads_are_told_apart_and_linked(site: TestClient, ids: dict[str, str]) -> None:
    found = page(site, ids, "long-prefix-induction")
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
    only = page(site, ids, "long-prefix-induction", heads="L1H1")
    assert [path["class"][0] for path in only.select("#attention path[class^=line]")] == ["lineA"]


def test_heads_that_stand_out_are_marked_and_named(site: TestClient, ids: dict[str, str]) -> None:
    figure = page(site, ids, "head-ablation").select_one("#induction")
    assert figure.select_one("h2").text == "induction: L1H0 stands out"
    assert len(figure.select("path.barS")) == len(figure.select("text.text-bold")) == 1
    assert len(figure.select("path.barN")) == 3


@pytest.mark.parametrize(
    "path",
    [
        "/tiny/experiments/unknown",
        "/none/experiments",
        "/none/experiments/{id}",
        "/tiny/experiments/{id}?threshold=0.55",
        "/tiny/experiments/{id}?heads=L2H0",
        "/tiny/experiments/{id}?heads=poetry",
        "/tiny/experiments/{id}.csv?figure=poetry",
        "/tiny/experiments/unknown.csv",
    ],
)
def test_what_is_not_there_is_not_found(site: TestClient, ids: dict[str, str], path: str) -> None:
    response = site.get(path.replace("{id}", ids["long-prefix-induction"]))
    assert response.status_code == 404
    assert site.get(f"/tiny/experiments/{ids['head-ablation']}?mode=poetry").status_code == 404


def test_unchanged_pages_are_not_sent_again(site: TestClient, ids: dict[str, str]) -> None:
    path = urls.experiment_url("tiny", ids["universality"])
    tag = site.get(path).headers["ETag"]
    assert site.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_what_experiments_found_of_a_head(stored: tuple[str, dict[str, str]]) -> None:
    engine = open_store(stored[0])
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"), Viewer(1, "ada", "annotator"))
        found = {one.name: one for one in experiments_of(context, HeadRef(1, 0))}
        nothing = experiments_of(context, HeadRef(2, 3))
    engine.dispose()
    assert set(found) == {
        "long-prefix-induction", "head-ablation", "known-heads", "universality", "polysemanticity",
    }  # fmt: skip
    assert found["universality"].finding.startswith("standard: needs one matching token")
    assert found["universality"].id == stored[1]["universality"]
    assert nothing == ()


def test_addresses(site: TestClient) -> None:
    app = site.app
    assert urls.ablation_url("tiny", HeadRef(1, 2)) == app.url_path_for("ablation", model="tiny", head="L1H2")
    assert urls.experiments_url("tiny") == app.url_path_for("experiments", model="tiny")
    assert urls.experiment_url("tiny", "ab") == app.url_path_for("experiment", model="tiny", experiment="ab")
    assert urls.experiment_csv_url("tiny", "ab", figure="x:y") == "/tiny/experiments/ab.csv?figure=x%3Ay"


def test_the_scans_of_other_models_stand_beside(stored: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    path = shutil.copyfile(stored[0], tmp_path / "store.sqlite")
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
        found = soup(opened, urls.experiment_url("tiny", stored[1]["universality"]))
        assert [caption.text for caption in found.select("#scan h3")] == [scan.model, "newer"]
        assert len(found.select("#scan svg.plot")) == 2
        rows = opened.get(urls.experiment_csv_url("tiny", stored[1]["universality"])).text.splitlines()
        assert len(rows) == 1 + 2 * len(scan.heads)


def test_a_result_of_another_version_is_no_page(stored: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    path = shutil.copyfile(stored[0], tmp_path / "store.sqlite")
    engine = open_store(path)
    with write_session(engine) as session:
        old = experiments.get_experiment(session, "tiny", stored[1]["universality"])
        again = experiments.begin(session, replace(old.request, seed=99), old.created_at)
        packed = UNIVERSALITY.pack(results()["universality"])
        experiments.finish(session, again, 1.0, "x", {}, {**packed, "version": 99})
    engine.dispose()
    with TestClient(served(str(path)), raise_server_exceptions=False) as opened:
        response = opened.get(urls.experiment_url("tiny", again))
    assert response.status_code == 503
    assert "Traceback" not in response.text


def test_a_head_lists_what_experiments_found_of_it(published: Path, tmp_path: Path) -> None:
    path = shutil.copyfile(published, tmp_path / "store.sqlite")
    with TestClient(served(str(path))) as opened:
        before = opened.get("/tiny/heads/L1H0")
        assert not parsed(before.text).select(".linked-list")
        engine = open_store(path)
        ids = store_experiments(engine)
        engine.dispose()
        # The run is the same, yet the page is not: a browser that kept it must be given the new one.
        after = opened.get("/tiny/heads/L1H0", headers={"If-None-Match": before.headers["ETag"]})
        assert after.status_code == 200
        items = parsed(after.text).select(".rail .linked-list li")
        assert len(items) == 5
        assert {item.select_one("a")["href"] for item in items} >= {
            f"/tiny/experiments/{ids['universality']}"
        }
        twin = opened.get("/tiny/heads/L1H0.json").json()["experiments"]
        assert {one["id"] for one in twin} == {
            ids[name] for name in ("long-prefix-induction", "head-ablation", "universality")
        }
        same = opened.get("/tiny/heads/L1H0", headers={"If-None-Match": after.headers["ETag"]})
        assert same.status_code == 304


def test_ablating_leads_to_the_newest_ablation_of_the_head(site: TestClient, ids: dict[str, str]) -> None:
    for head in ("L1H1", "1.1"):
        answer = site.get(f"/tiny/heads/{head}/ablation")
        assert (answer.status_code, answer.headers["Location"]) == (
            307,
            f"/tiny/experiments/{ids['head-ablation']}?heads=L1H1",
        )
    assert site.get(answer.headers["Location"]).status_code == 200
    assert site.get("/tiny/heads/L9H9/ablation").status_code == 404
    assert site.get("/tiny/experiments?ablate=L9H9").status_code == 404


def test_a_head_without_an_ablation_gets_the_command_for_it(client: TestClient) -> None:
    answer = client.get("/tiny/heads/L2H3/ablation")
    assert answer.headers["Location"] == "/tiny/experiments?ablate=L2H3#ablate"
    found = parsed(client.get(answer.headers["Location"]).text)
    command = found.select_one("#ablate pre").text
    assert command == "head-atlas experiment head-ablation --model org/Tiny --layer 2"
    assert client.get("/tiny/experiments.json?ablate=L2H3").json()["proposed"] == {
        "head": "L2H3",
        "command": command,
    }
    assert client.get("/tiny/experiments.json").json()["proposed"] is None
    page = parsed(client.get("/tiny/heads/L2H3").text)
    assert page.select('a[href="/tiny/heads/L2H3/ablation"]')


@pytest.mark.parametrize(
    ("slug", "name", "words"),
    [
        ("tiny", "a folder/Tiny", ["--model", "a folder/Tiny", "--layer", "2"]),
        ("other", "org/Tiny", ["--model", "org/Tiny", "--layer", "2", "--name", "other"]),
    ],
)
def test_the_command_is_one_that_the_shell_and_the_program_take(
    make_sqlite_store: Callable[..., str], slug: str, name: str, words: list[str]
) -> None:
    run = make_run(slug)
    record = replace(run.record, model=replace(run.record.model, name=name))
    engine = open_store(make_sqlite_store())
    publish(engine, replace(run, record=record))
    with read_session(engine) as session:
        found = ablation_command(get_live_run(session, slug), HeadRef(2, 3))
    engine.dispose()
    given = shlex.split(found)
    assert given == ["head-atlas", "experiment", "head-ablation", *words]
    done = CliRunner().invoke(cli.app, [*given[1:], "--store", "/nowhere/at-all.sqlite"])
    assert isinstance(done.exception, InvalidStore)  # all that it still lacks


def test_compared_heads_have_the_figures_of_experiments_on_them(
    site: TestClient, ids: dict[str, str], client: TestClient
) -> None:
    long_prefix = results()["long-prefix-induction"]
    assert isinstance(long_prefix, LongPrefixResult)
    first, second, _ = (one.head for one in long_prefix.heads)
    address = urls.compare_url("tiny", [second, first])
    twin = site.get(address.replace("/compare", "/compare.json")).json()
    found = {one["experiment"]["name"]: one for one in twin["experiments"]}
    assert found["long-prefix-induction"]["heads"] == [str(second), str(first)]
    assert found["long-prefix-induction"]["experiment"]["id"] == ids["long-prefix-induction"]
    assert set(found) <= {"long-prefix-induction", "head-ablation", "weight-vs-fve"}
    shown = soup(site, address)
    figures = shown.select(".compared-experiments figure")
    assert [figure.h2.get_text() for figure in figures if figure.h2][:1] == [
        f"Attention by prefix length: {second}, {first}"
    ]
    assert not shown.select(".compared-experiments table")
    for link in shown.select(".compared-experiments .figure-notes a"):
        assert site.get(str(link["href"])).status_code == 200
    # Heads without results, and an atlas without experiments, have no such section.
    assert not soup(client, address).select(".compared-experiments")
    alone = site.get("/tiny/compare.json?heads=L2H0").json()["experiments"]
    assert {one["experiment"]["name"] for one in alone} == {
        name
        for name, result in results().items()
        if HeadRef(2, 0) in KINDS[name].by_head(result) and name in found
    }


def test_a_finding_of_another_version_stays_beside_the_heads(
    stored: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    path = shutil.copyfile(stored[0], tmp_path / "store.sqlite")
    long_prefix = results()["long-prefix-induction"]
    named = LONG_PREFIX_INDUCTION.by_head(long_prefix)
    engine = open_store(path)
    with write_session(engine) as session:
        old = experiments.get_experiment(session, "tiny", stored[1]["long-prefix-induction"])
        again = experiments.begin(session, replace(old.request, seed=99), old.created_at + timedelta(days=1))
        experiments.finish(
            session,
            again,
            1.0,
            "found <it>",
            named,
            {**LONG_PREFIX_INDUCTION.pack(long_prefix), "version": 99},
        )
    engine.dispose()
    with TestClient(served(str(path))) as opened:
        page = soup(opened, urls.compare_url("tiny", list(named)[:2]))
    [shown] = [
        link for link in page.select(".compared-experiments .figure p a") if again in str(link["href"])
    ]
    assert shown.parent is not None
    assert "found <it>." in shown.parent.get_text()
