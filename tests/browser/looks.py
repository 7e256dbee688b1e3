"""What is looked at on every page: accessibility, sideways scrolling, shifts of the layout."""

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
}).observe({type: "layout-shift", buffered: true});
"""


def violations(page: Page, width: int) -> list[object]:
    """What axe finds. The policy would stop axe itself, so the tab must have been opened without it."""
    page.evaluate(AXE)
    # Dense tables are for pointers and keys; the narrow layout is for fingers.
    rules = {"target-size": {"enabled": width < 820}}
    # On a disk axe may not fetch the styles to read them once more.
    options = {
        "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
        "rules": rules,
        "preload": not page.url.startswith("file:"),
    }
    return page.evaluate(
        "async options => (await axe.run(options)).violations"
        ".map(v => [v.id, v.nodes.length, v.nodes[0].html, v.nodes[0].failureSummary])",
        options,
    )


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
