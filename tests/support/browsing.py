"""A served store and browser tabs that report every error and every breach of the content policy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, Page
from starlette.types import ASGIApp

from app.settings import Settings
from tests.support.serving import application

CHROMIUM = "/usr/bin/chromium-headless-shell"


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of a server of the application on a free port."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    [listener] = server.servers[0].sockets
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def serving(store: str | Path, team: bool = False) -> Iterator[str]:
    """The address of a server of the store on a free port."""
    with listening(application(Settings(store=str(store), team=team))) as address:
        yield address


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
