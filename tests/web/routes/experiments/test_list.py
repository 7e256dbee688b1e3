"""The list of experiments: how each ended, those that run or failed, addresses, and what is not there."""

import pytest
from starlette.testclient import TestClient

from app.domain.experiments.registry import KINDS
from app.domain.refs import HeadRef
from app.web import urls
from tests.support.experiment_pages import page_of, soup_of
from tests.support.experiment_results import FAILED, RUNNING


def test_the_list_has_every_experiment_with_its_end(site: TestClient, ids: dict[str, str]) -> None:
    rows = soup_of(site, "/tiny/experiments").select(".experiment-table tbody tr")
    by_id = {row.select_one("th").text: row.text for row in rows}
    assert set(by_id) == set(ids.values())
    assert "running" in by_id[ids[RUNNING]]
    assert "the disk <that holds> the store is full" in by_id[ids[FAILED]]
    assert "long-prefix: L1H1" in by_id[ids["long-prefix-induction"]]
    assert soup_of(site, "/tiny").select('nav a[href="/tiny/experiments"]')


def test_an_atlas_without_experiments_says_how_to_run_one(client: TestClient) -> None:
    assert soup_of(client, "/tiny/experiments").select_one(".empty a")["href"] == "#run"


def test_a_running_and_a_failed_one_keep_the_frame(site: TestClient, ids: dict[str, str]) -> None:
    running, failed = page_of(site, ids, RUNNING), page_of(site, ids, FAILED)
    assert running.select_one(".blank .job p").text.startswith("attention by prefix length")
    assert "30 of 120 sequences, 4 a second" in running.select_one(".blank").text
    assert "the disk <that holds> the store is full" in failed.select_one(".experiment-top").text
    assert "It stopped after 3 s." in failed.select_one(".blank").text
    assert not running.select("figure") + failed.select("figure")
    for name in (RUNNING, FAILED):
        assert site.get(urls.experiment_csv_url("tiny", ids[name])).status_code == 404


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


def test_addresses(site: TestClient) -> None:
    app = site.app
    assert urls.ablation_url("tiny", HeadRef(1, 2)) == app.url_path_for("ablation", model="tiny", head="L1H2")
    assert urls.experiments_url("tiny") == app.url_path_for("experiments", model="tiny")
    assert urls.experiment_url("tiny", "ab") == app.url_path_for("experiment", model="tiny", experiment="ab")
    assert urls.experiment_csv_url("tiny", "ab", figure="x:y") == "/tiny/experiments/ab.csv?figure=x%3Ay"


def test_what_can_be_run_is_listed_with_its_command(
    client: TestClient, site: TestClient, ids: dict[str, str]
) -> None:
    told = client.get("/tiny/experiments.json").json()["runnable"]
    items = soup_of(client, "/tiny/experiments").select("#run li")
    assert [item.h3.text for item in items] == [one["name"] for one in told] == list(KINDS)
    for item, one in zip(items, told, strict=True):
        assert " ".join(item.pre.text.split()) == one["command"]
        assert item.select_one(".purpose").text == one["purpose"]
        expected = "a few seconds here" if one["name"] == "weight-vs-fve" else "time not known"
        assert " ".join(item.select_one(".takes").text.split()) == expected
    # Once one has been run, what it took is said.
    after = {
        item.h3.text: " ".join(item.select_one(".takes").text.split())
        for item in soup_of(site, "/tiny/experiments").select("#run li")
    }
    assert after == dict.fromkeys(KINDS, "took about 10 seconds last time")
