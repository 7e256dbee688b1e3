"""What is looked at on every page: accessibility, sideways scrolling, shifts of the layout."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
# Theme and width: a wide page in the light and a narrow one in the dark; `make sweep` looks at the others.
THEMES_AND_WIDTHS = (
    ("light", 1440),
    ("dark", 390),
    pytest.param("dark", 1440, marks=pytest.mark.sweep),
    pytest.param("light", 390, marks=pytest.mark.sweep),
)
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
        const moved = entry.sources.map(({node}) => (node?.outerHTML || node?.data || "").slice(0, 80));
        if (!entry.hadRecentInput) window.shifts.push([entry.value, moved]);
    }
}).observe({type: "layout-shift", buffered: true});
"""

FIND_COVERED = """
() => {
    const covered = [];
    for (const element of document.querySelectorAll("h1, h2, h3, p, dt, dd, th, label, legend, summary, button")) {
        const text = [...element.childNodes].find(node => node.nodeType === 3 && node.data.trim());
        if (!text || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        if (element.closest(".visually-hidden, [hidden], dialog, #card")) continue;
        element.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
        const range = document.createRange();
        const start = text.data.search(/\\S/);
        range.setStart(text, start);
        range.setEnd(text, start + 1);
        const box = range.getBoundingClientRect();
        const x = box.left + box.width / 2, y = box.top + box.height / 2;
        const top = document.elementFromPoint(x, y);
        const clipped = x < 0 || y < 0 || x > innerWidth || y > innerHeight || !box.width;
        if (clipped || !top || top.closest(".status, .panel footer")) continue;
        const beside = !element.contains(top) && !top.contains(element);
        if (beside || (top !== element && top.matches("input, select, textarea")))
            covered.push([text.data.trim().slice(0, 40), top.outerHTML.slice(0, 80)]);
    }
    scrollTo(0, 0);
    return covered;
}
"""


def covered(page: Page) -> list[object]:
    """Words whose first letter lies under something else, and what it is."""
    return page.evaluate(FIND_COVERED)


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


def shifts(page: Page) -> list[object]:
    """What moved by itself since `WATCH_SHIFTS`, unless all of it together could not be seen."""
    seen = page.evaluate("window.shifts")
    return seen if sum(amount for amount, _ in seen) >= 0.001 else []


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
