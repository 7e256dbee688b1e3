"""What stands on a page when it is painted stays where it is while its scripts come alive."""

import re
from collections import defaultdict

import pytest
from playwright.sync_api import Browser, Request, Route, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = (
    "/",
    "/tiny",
    "/tiny/heads/L1H3",
    "/tiny/heads/L1H5",
    "/tiny/heads/L1H2",
    "/tiny/heads/L0H0",
    "/tiny/heads/L1H0/history",
    "/tiny/features/L1F3",
    "/tiny/layers",
    "/tiny/annotations",
    "/tiny/annotations/import",
    "/tiny/search?q=the",
    "/tiny/compare?heads=L1H3,L1H5",
    "/wide",
    "/wide/heads/L1H47",
    "/about",
)
# Whatever has a size: which element it is, and where. The theme's script runs before anything is painted.
PLACES = """
() => [...document.querySelectorAll("body *")].filter(e => !e.closest("dialog, option")).map(e => {
    const name = [e.tagName, e.getAttribute("name"), e.getAttribute("href"), e.textContent.trim().slice(0, 40)];
    const box = e.getBoundingClientRect();
    return [name.join(" "), box.x, box.y, box.width, box.height];
}).filter(([, , , width, height]) => width || height)
"""
WINDOWS = ((1440, 900), (1024, 800), (390, 844))
# Each page in one window; `make sweep` opens it in all.
PAGES_IN_WINDOWS = [
    pytest.param(path, *window, marks=() if n_path % 3 == n_window else pytest.mark.sweep)
    for n_path, path in enumerate(PAGES)
    for n_window, window in enumerate(WINDOWS)
]
LATER_SCRIPTS = re.compile(r"/static/(js/(?!theme)|vendor/htmx)")
Box = tuple[float, ...]


def places(chromium: Browser, address: str, window: ViewportSize, scripts: bool) -> dict[str, list[Box]]:
    context = chromium.new_context(viewport=window)
    page = context.new_page()
    stopped: list[str] = []

    def stop(route: Route, request: Request) -> None:
        stopped.append(request.url)
        route.abort()

    if not scripts:
        page.route(LATER_SCRIPTS, stop)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert bool(stopped) is not scripts
    found: dict[str, list[Box]] = defaultdict(list)
    for name, *box in page.evaluate(PLACES):
        found[name].append(tuple(box))
    context.close()
    return found


@pytest.mark.parametrize(("path", "width", "height"), PAGES_IN_WINDOWS)
def test_scripts_move_nothing(chromium: Browser, full_url: str, path: str, width: int, height: int) -> None:
    window = ViewportSize(width=width, height=height)
    painted = places(chromium, full_url + path, window, scripts=False)
    alive = places(chromium, full_url + path, window, scripts=True)
    # What scripts put in the place of something else is in one of the two alone.
    common = [name for name in painted if len(painted[name]) == len(alive.get(name, ()))]
    assert len(common) > 0.8 * len(painted)
    moved = {
        name: (before, after)
        for name in common
        for before, after in zip(painted[name], alive[name], strict=True)
        if max(abs(b - a) for b, a in zip(before[:2], after[:2], strict=True)) > 0.5
    }
    assert moved == {}
