"""The first page of a store without an atlas: it asks again by itself, and leads to the atlas once there is one."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from app.domain.records import JobProgress
from app.store.atlas.progress import report_progress
from app.store.database.engine import write_session
from tests.support.run_data import make_run, publish
from tests.support.serving import served
from tests.support.soups import soup
from tests.support.stored_runs import NOON

FRAGMENT = {"HX-Request": "true"}


@pytest.fixture
def client(engine: Engine, store_url: str) -> Iterator[TestClient]:
    with TestClient(served(store_url), follow_redirects=False) as opened:
        yield opened


def test_it_shows_the_stages_and_asks_again(engine: Engine, client: TestClient) -> None:
    with write_session(engine) as session:
        report_progress(session, JobProgress("f1", "compute", 300, 900, "tokens", 2.0, NOON))
    waiting = soup(client.get("/").text).select_one("#waiting")
    assert waiting is not None
    assert (waiting["hx-get"], waiting["hx-trigger"], waiting["hx-select"]) == ("/", "every 2s", "#waiting")
    stages = [re.sub(r"\s+", " ", item.get_text(" ", strip=True)) for item in waiting.select("li")]
    assert stages[0].startswith("prepare ")
    assert stages[1].endswith("300 of 900 tokens, 5 minutes left")
    assert stages[3].startswith("publish waiting ")
    assert waiting.select_one("[aria-current=step]").b.text == "compute"
    again = client.get("/", headers=FRAGMENT)
    assert again.status_code == 200
    assert soup(again.text).select_one("#waiting") is not None


def test_it_waits_without_a_job_too(client: TestClient) -> None:
    page = soup(client.get("/").text)
    assert page.select_one("#waiting") is not None
    assert "head-atlas demo" in page.text


def test_once_there_is_an_atlas_the_page_goes_there(engine: Engine, client: TestClient) -> None:
    publish(engine, make_run(seed=3))
    again = client.get("/", headers=FRAGMENT)
    assert (again.status_code, again.headers["HX-Redirect"], again.text) == (200, "/tiny", "")
    assert client.get("/").headers["Location"] == "/tiny"


def test_with_several_atlases_it_goes_to_their_list(engine: Engine, client: TestClient) -> None:
    publish(engine, make_run(seed=3))
    publish(engine, replace(make_run(seed=4), slug="other"))
    assert client.get("/", headers=FRAGMENT).headers["HX-Redirect"] == "/"
    page = soup(client.get("/").text)
    assert page.select_one("#waiting") is None
    assert len(page.select("tbody tr")) == 2
