"""Keys that lead through pages: the atlas, heads, comparisons, search, and the sheet that names them."""

import pytest
from playwright.sync_api import expect

from tests.support.browsing import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_keys(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    for _ in range(3):
        visit.page.keyboard.press("j")
    expect(visit.page.locator("article.feature-entry").nth(2)).to_be_focused()
    visit.page.keyboard.press("k")
    expect(visit.page.locator("article.feature-entry").nth(1)).to_be_focused()
    name = visit.page.locator("article.feature-entry").nth(1).get_attribute("id")
    visit.page.keyboard.press("e")
    expect(visit.page.locator(f"#{name}.open")).to_be_focused()
    visit.page.keyboard.press("f")
    expect(visit.page.locator(".features-bar .segmented a[aria-current]").first).to_have_text("FVE")
    visit.page.keyboard.press("l")
    expect(visit.page.locator("h1")).to_have_text("L1H4")
    visit.page.keyboard.press("h")
    expect(visit.page.locator("h1")).to_have_text("L1H3")


def test_keys_of_a_comparison(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    visit.page.keyboard.press("x")
    expect(visit.page.locator(".head-picks a").first).to_be_visible()
    visit.page.locator("input[name=add]").fill("1.5")
    visit.page.keyboard.press("Enter")
    names = visit.page.locator("h1 a.mono")
    expect(names).to_have_text(["L1H3", "L1H5"])
    assert visit.page.url.endswith("/tiny/compare?heads=L1H3,L1H5")
    for key, expected in (("w", ["L1H5", "L1H3"]), ("]", ["L1H5", "L1H4"]), ("[", ["L1H5", "L1H3"])):
        visit.page.wait_for_load_state()  # keys work once the scripts have run
        visit.page.keyboard.press(key)
        expect(names).to_have_text(expected)
    visit.page.wait_for_load_state()
    visit.page.keyboard.press("f")
    fve = visit.page.get_by_role("link", name="FVE", exact=True)  # experiments of the heads have choices, too
    expect(fve).to_have_attribute("aria-current", "true")
    visit.page.go_back()
    expect(visit.page.get_by_role("link", name="decoder weight", exact=True)).to_have_attribute(
        "aria-current", "true"
    )


def test_searching_by_keyboard(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    visit.page.keyboard.press("/")
    expect(visit.page.locator("input[type=search]")).to_be_focused()
    visit.page.keyboard.type("the jk")  # letters are no keys while one types
    expect(visit.page.locator("input[type=search]")).to_have_value("the jk")
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("input[type=search]")).not_to_be_focused()
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("the")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("main.search-page h1")).to_contain_text("feature")
    visit.page.wait_for_load_state()
    visit.page.keyboard.press("j")
    expect(visit.page.locator("article.feature-entry").first).to_be_focused()
    visit.page.locator("input[type=search]").fill("1.3")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("h1")).to_have_text("L1H3")


def test_the_sheet_of_keys(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    sheet = visit.page.locator("dialog#keys")
    expect(sheet).to_be_hidden()
    visit.page.keyboard.press("?")
    expect(sheet).to_be_visible()
    visit.page.keyboard.press("l")  # does nothing behind the sheet
    visit.page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(visit.page.locator("h1")).to_have_text("L1H3")
    visit.page.locator('[data-opens="keys"]').click()
    expect(sheet).to_be_visible()
    visit.page.get_by_role("button", name="Close").click()
    expect(sheet).to_be_hidden()


def test_keys_of_the_atlas(visit: Visit) -> None:
    visit.go("/tiny")
    visit.page.locator("td a.cell").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp"):
        visit.page.keyboard.press(key)
    assert visit.page.evaluate("document.activeElement.getAttribute('href')") == "/tiny/heads/L1H1"
    visit.page.keyboard.press("2")
    expect(visit.page.locator(".thumbnail[aria-current] b")).to_have_text("Feature groups")
