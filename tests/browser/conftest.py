"""A server on a free port with one run, and a real Chromium that reports every breach of the content policy."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from data import Shape, StoredRun, make_run, publish
from playwright.sync_api import Browser, Page, sync_playwright
from stores import annotate, fill
from typer.testing import CliRunner

from app import cli
from app.settings import Settings
from app.store.engine import open_store
from app.web.factory import create_app

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def serving(path: Path, team: bool = False) -> Iterator[str]:
    """The address of a server of the store on a free port."""
    app = create_app(Settings(store=str(path), team=team))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    [listener] = server.servers[0].sockets
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def run() -> StoredRun:
    """As many heads as a small model has, with text as odd as it gets."""
    return make_run("tiny", 3, Shape(n_layers=6, n_heads=9, sae_layers=(1, 4), context=96, n_sequences=40))


@pytest.fixture(scope="session")
def store_path(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> str:
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("browser") / "store.sqlite")
    engine = open_store(path)
    publish(engine, run)
    engine.dispose()
    return str(path)


@pytest.fixture(scope="session")
def base_url(store_path: str) -> Iterator[str]:
    with serving(Path(store_path)) as url:
        yield url


@pytest.fixture(scope="module")
def full_url(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun
) -> Iterator[str]:
    """A server of an annotated atlas, of one with 48 heads a layer, and of a job under way; a module's own."""
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
        pytest.fail("these tests need Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A tab, and what went wrong in it."""

    page: Page
    base: str
    errors: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)


def open_tab(browser: Browser, base: str, **options: object) -> Visit:
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]
    visit = Visit(page, base)
    page.on("console", lambda message: visit.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    # Leaving a page aborts what it was still loading.
    page.on(
        "requestfailed",
        lambda request: None if request.failure == "net::ERR_ABORTED" else visit.errors.append(request.url),
    )
    page.on(
        "request",
        lambda request: None if request.url.startswith(base) else visit.errors.append(f"left: {request.url}"),
    )
    page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
    )
    return visit


@pytest.fixture
def visit(chromium: Browser, base_url: str) -> Iterator[Visit]:
    """Fails its test for any error, refused script or style, or request to another place."""
    visit = open_tab(chromium, base_url, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []
