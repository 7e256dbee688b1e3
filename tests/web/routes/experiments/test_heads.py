"""What experiments say of a head, on its page and beside another, and the command that ablates it."""

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from app import cli
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION, LongPrefixResult
from app.domain.experiments.registry import KINDS
from app.domain.refs import HeadRef
from app.errors import InvalidStore
from app.services.experiments.runnable import ablation_command
from app.services.heads.experiments import experiments_of
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store import experiments
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session, write_session
from app.web import urls
from tests.support.experiment_pages import soup_of
from tests.support.experiment_results import kinds_about, results, store_experiments
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import soup as parsed


def test_what_experiments_found_of_a_head(experiment_store: tuple[str, dict[str, str]]) -> None:
    engine = open_store(experiment_store[0])
    with read_session(engine) as session:
        context = AtlasContext(session, get_live_run(session, "tiny"), Viewer(1, "ada", "annotator"))
        found = {one.name: one for one in experiments_of(context, HeadRef(1, 0))}
        nothing = experiments_of(context, HeadRef(2, 3))
    engine.dispose()
    with_roles, without = (kinds_about(HeadRef(1, 0), needs_roles) for needs_roles in (True, False))
    assert set(found) == with_roles | without
    assert with_roles >= {"known-heads", "polysemanticity"}
    assert without >= {"long-prefix-induction", "head-ablation", "universality"}
    assert found["universality"].finding.startswith("standard: needs one matching token")
    assert found["universality"].id == experiment_store[1]["universality"]
    assert nothing == ()


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
        with_roles, without = (kinds_about(HeadRef(1, 0), needs_roles) for needs_roles in (True, False))
        assert len(items) == len(with_roles | without) >= 5
        assert {item.select_one("a")["href"] for item in items} >= {
            f"/tiny/experiments/{ids['universality']}"
        }
        twin = opened.get("/tiny/heads/L1H0.json").json()["experiments"]
        assert {one["id"] for one in twin} == {ids[name] for name in without}
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
    shown = soup_of(site, address)
    figures = shown.select(".compared-experiments figure")
    assert [figure.h2.get_text() for figure in figures if figure.h2][:1] == [
        f"Attention by prefix length: {second}, {first}"
    ]
    assert not shown.select(".compared-experiments table")
    for link in shown.select(".compared-experiments .figure-notes a"):
        assert site.get(str(link["href"])).status_code == 200
    # Heads without results, and an atlas without experiments, have no such section.
    assert not soup_of(client, address).select(".compared-experiments")
    alone = site.get("/tiny/compare.json?heads=L2H0").json()["experiments"]
    assert {one["experiment"]["name"] for one in alone} == {
        name
        for name, result in results().items()
        if HeadRef(2, 0) in KINDS[name].by_head(result) and name in found
    }


def test_a_finding_of_another_version_stays_beside_the_heads(
    experiment_store: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    path = shutil.copyfile(experiment_store[0], tmp_path / "store.sqlite")
    long_prefix = results()["long-prefix-induction"]
    named = LONG_PREFIX_INDUCTION.by_head(long_prefix)
    engine = open_store(path)
    with write_session(engine) as session:
        old = experiments.get_experiment(session, "tiny", experiment_store[1]["long-prefix-induction"])
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
        page = soup_of(opened, urls.compare_url("tiny", list(named)[:2]))
    [shown] = [
        link for link in page.select(".compared-experiments .figure p a") if again in str(link["href"])
    ]
    assert shown.parent is not None
    assert "found <it>." in shown.parent.get_text()
