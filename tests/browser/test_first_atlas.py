"""The first page of a store without an atlas: how far the job is, at three widths, and then the atlas by itself."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from app.domain.records import JobProgress
from app.store.atlas.progress import report_progress
from app.store.database.engine import open_store, write_session
from tests.support.browsing import Visit, open_tab, serving
from tests.support.page_looks import covered, overflow, violations
from tests.support.run_data import StoredRun, publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def empty(sqlite_template: Path, tmp_path: Path) -> Path:
    return shutil.copyfile(sqlite_template, tmp_path / "store.sqlite")


@pytest.fixture
def engine(empty: Path) -> Iterator[Engine]:
    opened = open_store(empty)
    yield opened
    opened.dispose()


@pytest.fixture
def waiting(chromium: Browser, empty: Path) -> Iterator[Visit]:
    with serving(empty) as url:
        visit = open_tab(chromium, url)
        visit.go("/")
        yield visit
        visit.page.context.close()
    assert visit.errors == []


def report(engine: Engine, stage: str, done: int) -> None:
    with write_session(engine) as session:
        report_progress(session, JobProgress("f" * 16, stage, done, 900, "tokens", 5.0, datetime.now(UTC)))


def test_it_follows_the_job_and_opens_the_atlas(waiting: Visit, engine: Engine, run: StoredRun) -> None:
    page = waiting.page
    expect(page.locator("#waiting")).to_contain_text("holds no atlas yet")
    report(engine, "compute", 300)
    expect(page.locator("[aria-current=step]")).to_contain_text("300 of 900 tokens, 2 minutes left")
    report(engine, "compute", 600)
    expect(page.locator("[aria-current=step]")).to_contain_text("600 of 900 tokens, less than a minute left")
    publish(engine, run)
    page.wait_for_url("**/tiny", timeout=10_000)
    expect(page.locator(".grid a.cell").first).to_be_visible()


@pytest.mark.parametrize("width", [1440, 1024, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_stages_fit_and_are_accessible(waiting: Visit, engine: Engine, width: int, theme: str) -> None:
    report(engine, "compute", 300)
    waiting.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    waiting.page.set_viewport_size({"width": width, "height": 900})
    expect(waiting.page.locator(".job-stages li")).to_have_count(4)
    assert overflow(waiting.page) <= 0
    assert covered(waiting.page) == []
    assert violations(waiting.page, width) == []
