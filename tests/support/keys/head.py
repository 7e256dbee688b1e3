"""Keys of the page of a head, but those that label its features."""

from playwright.sync_api import Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import align, key, mono, press, rows, values


@key("head", "j", "k")
def features_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "j", "j")
    expect(rows(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(rows(page).nth(0)).to_be_focused()


@key("head", "e")
def a_feature_opens_and_closes(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "j", "j", "e")
    details = rows(page).nth(1).locator("details")
    expect(details).to_have_attribute("open", "")
    press(page, "e")
    expect(details).not_to_have_attribute("open", "")


@key("head", "E")
def all_features_open_and_close(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    opened = page.locator("article.feature-entry details[open]")
    press(page, "E")
    expect(opened).to_have_count(10)
    press(page, "E")
    expect(opened).to_have_count(0)


@key("head", "h", "l")
def the_heads_beside_it(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "l")
    expect(mono(page)).to_have_text("L1H7")
    page.wait_for_load_state()
    press(page, "h")
    expect(mono(page)).to_have_text("L1H6")


@key("head", "f")
def the_other_ranking(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "f")
    expect(page.locator(".features-bar .segmented a[aria-current]").first).to_have_text("FVE")


@key("head", "a")
def a_head_is_aligned_by_token(tab: Visit, page: Page) -> None:
    align(tab, page, "/tiny/heads/L1H6")


@key("head", "v")
def values_of_a_head(tab: Visit, page: Page) -> None:
    values(tab, page, "/tiny/heads/L1H6")


@key("head", "x")
def the_head_is_compared(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "x")
    page.wait_for_url("**/tiny/compare?heads=L1H6")
