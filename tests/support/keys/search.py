"""Keys of the results of a search."""

import re

from playwright.sync_api import Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, press, rows


@key("search", "j", "k")
def results_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/search?q=the")
    press(page, "j", "j")
    expect(rows(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(rows(page).nth(0)).to_be_focused()


@key("search", "h", "l")
def pages_of_results_are_turned(tab: Visit, page: Page) -> None:
    tab.go("/wide/search?q=evidence:copying>0.1")
    first = rows(page).nth(0).get_attribute("aria-label")
    press(page, "l")
    page.wait_for_url("**page=2")
    expect(page.locator("h1")).to_have_text(re.compile("Features 26 to"))
    assert rows(page).nth(0).get_attribute("aria-label") != first
    press(page, "h")
    page.wait_for_url("**/wide/search?q=evidence%3Acopying%3E0.1")
    expect(rows(page).nth(0)).to_have_attribute("aria-label", str(first))
