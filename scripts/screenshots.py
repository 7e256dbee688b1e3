"""Pictures of the README from a store: real pages of a real run, in Chromium, as WebP.

The store is copied. The copy gets labels made by rule (sample_labels.py), so that the pictures show an annotated atlas.
With --look the pages of the store as it is are taken at three widths in both themes, for the eye: what no test sees.
"""

import argparse
import base64
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from playwright.sync_api import Page, sync_playwright
from sample_labels import annotate

from app.settings import Settings
from app.store.atlas.reads import list_atlases
from app.store.database.engine import open_store, read_session
from app.store.migrate import upgrade
from app.web.factory import create_app

CHROMIUM = "/usr/bin/chromium-headless-shell"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
IMAGES = Path(__file__).parents[1] / "docs" / "images"
LIMIT = 500_000  # bytes in all
WIDTHS = {1440: 1100, 1024: 900, 390: 844}
THEMES = ("light", "dark")
# name, page below the atlas, theme, width, height, what to point at first
PICTURES = (
    ("atlas", "", "light", 1360, 900, "a.cell[href$='/{head}']"),
    ("head", "/heads/{head}", "light", 1360, 820, None),
    ("hard-head", "/heads/{hard}", "light", 1360, 820, None),
    ("feature", "/features/{feature}", "dark", 1360, 720, None),
    ("compare", "/compare?heads={head},{other}", "light", 1360, 640, None),
)


@contextmanager
def served(store: Path) -> Iterator[str]:
    """The address of a server of the store on a free port."""
    app = create_app(Settings(store=str(store)))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def webp(page: Page, path: Path, quality: int) -> int:
    """Writes what the window shows, and gives the size in bytes."""
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
    data = base64.b64decode(shot["data"])
    path.write_bytes(data)
    return len(data)


def take_pictures(base: str, names: dict[str, str], folder: Path, quality: int) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for name, path, theme, width, height, hovered in PICTURES:
            scheme = "dark" if theme == "dark" else "light"
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(base + path.format(**names))
            if hovered:
                page.locator(hovered.format(**names)).hover()
                page.locator("#card .card").wait_for()
            page.wait_for_load_state("networkidle")
            total += webp(page, folder / f"{name}.webp", quality)
            context.close()
        browser.close()
    return total


def look(base: str, pages: list[str], folder: Path) -> None:
    """Every page at three widths in both themes, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for theme in THEMES:
            for width, height in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                tab = context.new_page()
                for page in pages:
                    name = page.strip("/").replace("/", "-").replace("?", "-") or "index"
                    answer = tab.goto(base + page)
                    if answer is None or not answer.ok:
                        raise SystemExit(f"{page} is no page of this store")
                    tab.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=True)
                context.close()
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "store", type=Path, help="a SQLite store with one published atlas, such as that of the demo"
    )
    parser.add_argument("--head", default="L17H3", help="the head to show")
    parser.add_argument("--other", default="L17H4", help="the head to compare it with")
    parser.add_argument("--hard", default="L17H5", help="the head of the guide that is hard to judge")
    parser.add_argument("--feature", default="L17F461", help="the feature to show")
    parser.add_argument("--quality", type=int, default=72)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument(
        "--look", nargs="+", metavar="PAGE", help="take these pages instead, such as / /about"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(shutil.copyfile(options.store, Path(folder) / "store.sqlite"))
        engine = open_store(store)
        upgrade(engine)
        if options.look:
            with served(store) as base:
                look(base, options.look, options.folder)
            return
        with read_session(engine) as session:
            slug = list_atlases(session)[0].slug
        annotate(engine, slug, ("me", "ben"))
        engine.dispose()
        names = {
            "head": options.head,
            "other": options.other,
            "feature": options.feature,
            "hard": options.hard,
        }
        with served(store) as base:
            total = take_pictures(f"{base}/{slug}", names, options.folder, options.quality)
    if total > LIMIT:
        parser.exit(1, f"{total:,} bytes of pictures are more than {LIMIT:,}; lower --quality\n")
    parser.exit(0, f"{len(PICTURES)} pictures, {total:,} bytes, in {options.folder}\n")


if __name__ == "__main__":
    main()
