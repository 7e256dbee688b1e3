"""The page of a prompt (with a peer for the model), search while typing, and pages in frames, in a real browser."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from app.services.prompts.page import PromptService
from app.services.prompts.process import PromptProcess
from app.services.prompts.queue import PromptLimits, PromptQueue
from app.settings import Settings
from app.web.factory import create_app
from tests.support import fake_prompt_worker
from tests.support.browsing import Visit, open_tab
from tests.support.page_looks import THEMES_AND_WIDTHS, WATCH_SHIFTS, covered, overflow, shifts, violations
from tests.support.run_data import StoredRun, store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FAKE = (sys.executable, fake_prompt_worker.__file__, "9", "0")
TEXT = "the+quick+brown+fox+jumps+over+the+lazy+dog+and+the+quick+brown+cat"
PAGES = (
    "/tiny/prompt",
    f"/tiny/prompt?text={TEXT}&head=L1H3",
    "/tiny/prompt?text=refuse&head=L1H3",
    "/tiny/prompt?text=nothing+here&head=L1H3",
    "/tiny/search",
    "/tiny/search?q=evidence:copying",
    "/tiny/search?q=status:open",
    "/tiny/search?q=role:nonsense",
)


class Served:
    """An application on a free port, in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self.server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None)
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        [listener] = self.server.servers[0].sockets
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def store(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> str:
    return store_with(sqlite_template, tmp_path_factory.mktemp("trying"), run)


@pytest.fixture(scope="module")
def trying(store: str, run: StoredRun) -> Iterator[str]:
    app = create_app(Settings(store=store))
    app.state.prompt_service = PromptService(
        PromptQueue(PromptLimits(job_s=20), lambda: PromptProcess(FAKE)), "", "cache"
    )
    served = Served(app)
    yield served.url
    served.stop()


@pytest.fixture
def visit(chromium: Browser, trying: str) -> Iterator[Visit]:
    visit = open_tab(chromium, trying, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_no_page_scrolls_sideways_or_covers_words(visit: Visit, path: str, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.go(path)
    assert overflow(visit.page) <= 0
    assert covered(visit.page) == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing(chromium: Browser, trying: str, path: str, theme: str, width: int) -> None:
    visit = open_tab(
        chromium, trying, bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 1000}
    )
    visit.go(path)
    found = violations(visit.page, width)
    visit.page.context.close()
    assert found == []


def read_a_text(visit: Visit) -> None:
    """From the form to a token, a head and a feature, and back; every step has an address."""
    page = visit.page
    visit.go("/tiny/prompt")
    page.locator("textarea").fill("slow text to\nread here")
    page.locator("input[name=at]").fill("1.3")
    page.get_by_role("button", name="Read it").click()
    expect(page.locator(".tokens button")).to_have_count(6, timeout=20_000)  # by way of the page that waits
    assert page.url.endswith("/tiny/prompt?text=slow+text+to%0Aread+here&head=L1H3")
    page.locator(".tokens button").nth(2).click()
    expect(page.locator(".tokens button[aria-current]")).to_have_attribute("value", "2", timeout=20_000)
    page.locator("table.dfa button").nth(5).click()
    expect(page.locator("table.dfa tr.this-head th")).to_have_text("L1H5", timeout=20_000)
    page.go_back()
    expect(page.locator("table.dfa tr.this-head th")).to_have_text("L1H3", timeout=20_000)
    expect(page.locator("svg.attention")).to_be_visible()


def test_a_text_is_read(visit: Visit) -> None:
    read_a_text(visit)
    visit.page.locator(".tokens button").nth(3).focus()
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".tokens button[aria-current]")).to_have_attribute("value", "3", timeout=20_000)


def test_a_text_is_read_without_scripts(chromium: Browser, trying: str) -> None:
    visit = open_tab(chromium, trying, java_script_enabled=False)
    read_a_text(visit)
    visit.page.context.close()
    assert visit.errors == []


def test_search_suggests_while_one_types(visit: Visit) -> None:
    page = visit.page
    visit.go("/tiny/search")
    page.locator("input[type=search]").press_sequentially("evidence:cop")
    first = page.locator("#typed a").first
    expect(first).to_have_text("evidence:copying>=0.5")
    expect(page.locator("main")).to_have_count(1)
    while not page.evaluate("document.activeElement.matches('#typed a')"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".where a").first).to_be_visible()
    assert "evidence%3Acopying" in page.url
    page.go_back()
    expect(page.locator("main.search-page")).to_have_count(1)


@pytest.mark.parametrize("path", ["/tiny", "/tiny/heads/L1H3", "/tiny/features/L1F3"])
def test_the_bar_suggests_over_the_page(visit: Visit, path: str) -> None:
    page = visit.page
    page.add_init_script(WATCH_SHIFTS)
    visit.go(path)
    page.wait_for_load_state("networkidle")
    before = page.locator("h1").bounding_box()
    page.keyboard.press("/")
    page.keyboard.type("evidence:cop")
    first = page.locator("#typed a").first
    expect(first).to_have_text("evidence:copying>=0.5")
    # Shifts just after a key do not count for the browser, so the page's own places are looked at too.
    assert shifts(page) == []
    assert page.locator("h1").bounding_box() == before
    page.keyboard.press("ArrowUp")  # nothing is above the field
    expect(page.locator("[name=q]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[name=q]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(first).to_be_hidden()
    page.keyboard.press("/")
    expect(first).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/tiny/search?q=evidence%3Acopying**")
    expect(page.locator(".where a").first).to_be_visible()


def test_a_suggestion_of_the_bar_can_be_clicked(visit: Visit) -> None:
    visit.go("/tiny")
    visit.page.locator("[name=q]").press_sequentially("layer:")
    visit.page.locator("#typed a", has_text="layer:4").click()
    visit.page.wait_for_url("**/tiny/search?q=layer%3A4")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1024)])
def test_axe_finds_nothing_in_open_suggestions(
    chromium: Browser, base_url: str, theme: str, width: int
) -> None:
    visit = open_tab(
        chromium, base_url, bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 900}
    )
    visit.go("/tiny/heads/L1H3")
    visit.page.locator("[name=q]").press_sequentially("e")
    expect(visit.page.locator("#typed a").first).to_be_visible()
    assert overflow(visit.page) <= 0
    assert violations(visit.page, width) == []
    visit.page.context.close()
    assert visit.errors == []


def test_the_bar_searches_without_scripts(chromium: Browser, base_url: str) -> None:
    visit = open_tab(chromium, base_url, java_script_enabled=False)
    visit.go("/tiny/heads/L1H3")
    visit.page.locator("[name=q]").fill("evidence:copying")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".where a").first).to_be_visible()
    visit.page.context.close()
    assert visit.errors == []


def test_the_small_atlas_leads_to_its_heads(visit: Visit) -> None:
    visit.go("/tiny/search?q=evidence:copying")
    place = visit.page.locator(".where a").first
    name = (place.get_attribute("aria-label") or "").split(",")[0]
    place.click()
    expect(visit.page.locator("h1")).to_have_text(name)


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """The folder of another site on this machine."""
    return tmp_path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@contextmanager
def site_of(folder: Path) -> Iterator[int]:
    """The folder on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize(
    ("host", "page", "allowed"),
    [("localhost", "embed", None), ("127.0.0.1", "embed", None), ("localhost", "plain", None),
     ("localhost", "embed", "https://notebooks.example")],
)  # fmt: skip
def test_e09_frames_are_for_allowed_origins(
    chromium: Browser, store: str, notebook: Path, host: str, page: str, allowed: str | None
) -> None:
    """The site that frames is another origin: another port. It is allowed by default, and only the /embed pages."""
    settings = Settings(store=store) if allowed is None else Settings(store=store, frame_ancestors=allowed)  # type: ignore[arg-type]
    served = Served(create_app(settings))
    path = "/embed/tiny/heads/L1H3" if page == "embed" else "/tiny/heads/L1H3"
    (notebook / "page.html").write_text(
        f'<iframe width="900" height="600" src="{served.url}{path}"></iframe>'
    )
    tab = chromium.new_context().new_page()
    refused: list[str] = []
    tab.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    with site_of(notebook) as port:
        tab.goto(f"http://{host}:{port}/page.html")
        frame = tab.frame_locator("iframe")
        if page == "embed" and allowed is None:
            expect(frame.locator("article.feature-entry")).to_have_count(10, timeout=20_000)
            frame.locator("a.open-link").first.click()
            expect(frame.locator("article.open")).to_have_count(2, timeout=20_000)
        else:
            deadline = time.monotonic() + 20
            while not refused and time.monotonic() < deadline:
                tab.wait_for_timeout(50)
            assert any("frame-ancestors" in text for text in refused)
            assert frame.locator("main").count() == 0
    tab.context.close()
    served.stop()
