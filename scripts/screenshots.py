"""Pictures of a running server's pages at three widths in both themes, for the eye: what no test sees."""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS = {1440: 1100, 1024: 900, 390: 844}
THEMES = ("light", "dark")
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def take(base: str, pages: list[str], folder: Path, full: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for theme in THEMES:
            for width, height in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                tab = context.new_page()
                for page in pages:
                    name = page.strip("/").replace("/", "-").replace("?", "-") or "index"
                    tab.goto(base + page)
                    tab.screenshot(path=folder / f"{name}-{width}-{theme}.png", full_page=full)
                context.close()
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="address of the server, such as http://127.0.0.1:8000")
    parser.add_argument("pages", nargs="+", help="paths, such as /smollm2/heads/L10H0")
    parser.add_argument("--folder", type=Path, default=Path("screenshots"))
    parser.add_argument("--full", action="store_true", help="whole pages, not the first screen")
    given = parser.parse_args()
    take(given.base.rstrip("/"), given.pages, given.folder, given.full)


if __name__ == "__main__":
    main()
