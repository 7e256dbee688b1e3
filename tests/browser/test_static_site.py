"""The atlas as files, opened from the disk."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsing import open_tab
from tests.support.page_looks import THEMES_AND_WIDTHS, overflow, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_bundle_opens_from_the_disk(chromium: Browser, base_url: str, bundle: Path) -> None:
    visit = open_tab(chromium, bundle.as_uri())
    visit.go("/index.html")
    visit.page.locator("a.cell[href='heads/L1H2.html']").hover()  # there is no server to ask for a card
    visit.page.locator("a.thumbnail[href='colour-progress.html']").click()
    visit.page.locator("a.cell[href='heads/L1H3.html']").focus()
    visit.page.wait_for_timeout(300)
    visit.page.keyboard.press("c")  # nor to compare or ablate by: the page stays
    visit.page.keyboard.press("x")
    visit.page.locator("a.cell[href='heads/L1H3.html']").click()
    expect(visit.page.locator("article.feature-entry")).to_have_count(10)
    row = visit.page.locator("article.feature-entry").nth(4)
    expect(row.locator("ol.examples")).to_be_hidden()
    row.locator("summary").click()
    expect(row.locator("ol.examples li")).to_have_count(10)
    visit.page.locator("a.feature-id").first.click()
    expect(visit.page.locator("main.feature")).to_have_count(1)
    expect(visit.page.locator(".examples .strip").first).to_be_visible()
    visit.page.context.close()
    assert visit.errors == []


def test_the_annotations_of_the_bundle_open_from_the_disk(chromium: Browser, bundle: Path) -> None:
    visit = open_tab(chromium, bundle.as_uri())
    visit.go("/heads/L1H0.html")
    records = visit.page.locator(".panel details")
    expect(records.locator("summary")).to_have_text(["ben, submitted", "me, submitted"])
    expect(records.nth(1)).to_contain_text("induction 10")
    records.nth(1).locator("[aria-label=Groups] a").first.click()  # leads to the row of this page
    visit.page.locator("article.feature-entry:target a.feature-id").click()
    expect(visit.page.locator(".uses td").filter(has_text="L1H0")).to_have_count(2)
    visit.page.locator("nav a", has_text="Annotations").click()
    visit.page.wait_for_url("**/annotations.html")  # keys work once the scripts have run
    visit.page.keyboard.press("j")
    visit.page.keyboard.press(",")  # there are no columns to choose
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(".sheet tbody a").first).to_be_focused()
    with visit.page.expect_download() as saved:
        visit.page.locator(".export-bar a", has_text="CSV").click()
    assert "induction" in saved.value.path().read_text()
    visit.page.locator("nav a", has_text="Layers").click()
    visit.page.locator("[aria-label='Labels of'] a", has_text="ben").click()
    expect(visit.page.locator(".lead b")).to_have_text("ben")
    visit.page.wait_for_load_state()
    visit.page.keyboard.press("?")
    visit.page.locator("dialog button").click()
    expect(visit.page.locator("dialog")).to_be_hidden()
    visit.page.context.close()
    assert visit.errors == []


@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
@pytest.mark.parametrize(
    "name", ["index", "heads/L1H0", "heads/L1H3.fve", "features/L1F3", "annotations", "layers", "published"]
)
def test_axe_finds_nothing_in_the_bundle(
    chromium: Browser, bundle: Path, name: str, theme: str, width: int
) -> None:
    visit = open_tab(chromium, bundle.as_uri(), color_scheme=theme, viewport={"width": width, "height": 1000})
    visit.go(f"/{name}.html")
    assert overflow(visit.page) <= 0
    assert violations(visit.page, width) == []
    visit.page.context.close()
    assert visit.errors == []
