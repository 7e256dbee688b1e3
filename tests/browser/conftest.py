"""A server on a free port with one run, and a real Chromium that reports every breach of the content policy."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from typer.testing import CliRunner

from app import cli
from app.store.database.engine import open_store
from tests.support.browser_stores import annotate, fill
from tests.support.browsing import CHROMIUM, FLAGS, Visit, open_tab, serving
from tests.support.run_data import RunShape, StoredRun, make_run, publish, store_with

pytest.register_assert_rewrite("tests.support.keys")


@pytest.fixture(scope="session")
def run() -> StoredRun:
    """As many heads as a small model has, with text as odd as it gets."""
    return make_run("tiny", 3, RunShape(n_layers=6, n_heads=9, sae_layers=(1, 4), context=96, n_sequences=40))


@pytest.fixture(scope="session")
def store_path(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> str:
    return store_with(sqlite_template, tmp_path_factory.mktemp("browser"), run)


@pytest.fixture(scope="session")
def base_url(store_path: str) -> Iterator[str]:
    with serving(Path(store_path)) as url:
        yield url


@pytest.fixture(scope="module")
def full_url(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun
) -> Iterator[str]:
    """A server of an annotated atlas, of one with 48 heads per layer, and of a job under way; a module's own."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("full") / "store.sqlite")
    engine = open_store(path)
    fill(engine, run)
    engine.dispose()
    with serving(path) as url:
        yield url


@pytest.fixture(scope="session")
def bundle(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> Path:
    """The same run as plain files, with annotations."""
    folder = tmp_path_factory.mktemp("bundle")
    engine = open_store(shutil.copyfile(sqlite_template, folder / "store.sqlite"))
    publish(engine, run)
    annotate(engine, run)
    engine.dispose()
    words = ["export", "site", "--store", str(folder / "store.sqlite"), "--model", run.slug]
    done = CliRunner().invoke(cli.app, [*words, "--out", str(folder / "site")])
    assert done.exit_code == 0, done.output
    assert f"open {folder / 'site' / 'index.html'}" in done.output
    return folder / "site"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail("these tests need Chromium: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, base_url: str) -> Iterator[Visit]:
    """Fails its test for any error, refused script or style, or request to another place."""
    visit = open_tab(chromium, base_url, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []
