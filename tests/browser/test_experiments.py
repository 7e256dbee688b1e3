"""Pages of experiments in a real browser: widths, themes, accessibility, and a look of their own in each theme."""

import pytest
from playwright.sync_api import Browser, expect

from app.store.database.engine import open_store
from tests.support.browsing import Visit, open_tab
from tests.support.experiment_results import FAILED, RUNNING, results, store_experiments
from tests.support.page_looks import THEMES_AND_WIDTHS, covered, overflow, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAMES = (*results(), RUNNING, FAILED)


@pytest.fixture(scope="module")
def ids(base_url: str, store_path: str) -> dict[str, str]:
    engine = open_store(store_path)
    found = store_experiments(engine)
    engine.dispose()
    return found


def address(ids: dict[str, str], name: str) -> str:
    return "/tiny/experiments" if name == "list" else f"/tiny/experiments/{ids[name]}"


@pytest.mark.parametrize("name", ["list", *NAMES])
def test_nothing_scrolls_sideways_or_covers_words(visit: Visit, ids: dict[str, str], name: str) -> None:
    for width in (1440, 1024, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.go(address(ids, name))
        assert overflow(visit.page) <= 0
        assert covered(visit.page) == []


@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
@pytest.mark.parametrize("name", ["list", *NAMES])
def test_axe_finds_nothing(
    chromium: Browser, base_url: str, ids: dict[str, str], name: str, theme: str, width: int
) -> None:
    visit = open_tab(
        chromium,
        base_url,
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        bypass_csp=True,  # the policy would stop axe itself
    )
    visit.go(address(ids, name))
    for table in visit.page.locator("details").all():
        table.locator("summary").click()
    assert violations(visit.page, width) == []
    visit.page.context.close()


def test_a_threshold_is_a_link_and_a_table_opens(visit: Visit, ids: dict[str, str]) -> None:
    visit.go(address(ids, "long-prefix-induction"))
    visit.page.get_by_role("link", name="0.6", exact=True).click()
    expect(visit.page.locator("#natural figcaption")).to_contain_text("above 0.6")
    visit.page.locator("#attention summary").click()
    expect(visit.page.locator("#attention tbody tr").first).to_be_visible()


def test_lines_and_marks_of_two_heads_differ_in_both_themes(
    chromium: Browser, base_url: str, ids: dict[str, str]
) -> None:
    for theme in ("light", "dark"):
        visit = open_tab(chromium, base_url, color_scheme=theme)
        visit.go(address(ids, "long-prefix-induction"))
        strokes = {
            visit.page.locator(f"#attention .line{letter}").evaluate("e => getComputedStyle(e).stroke")
            for letter in "AB"
        }
        fills = {
            visit.page.locator(f"#attention .mark-{letter}").evaluate("e => getComputedStyle(e).fill")
            for letter in "AB"
        }
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert len(strokes) == len(fills) == 2
        assert ground in fills  # the second head's mark is hollow
        assert ground not in strokes
        visit.page.context.close()
        assert visit.errors == []


def test_how_it_was_made_is_there_at_every_width(visit: Visit, ids: dict[str, str]) -> None:
    for width in (1440, 1024, 390):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.go(address(ids, "head-ablation"))
        expect(visit.page.locator(".made dt").first).to_be_visible()
