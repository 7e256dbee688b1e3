"""Keys of every page."""

from playwright.sync_api import Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, mono, press


@key("anywhere", "/")
def search_takes_the_focus(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H3")
    press(page, "/")
    expect(page.locator("input[type=search]")).to_be_focused()


@key("anywhere", "?")
def the_sheet_opens_and_closes(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    for visible in (True, False):
        press(page, "?")
        expect(page.locator("#keys")).to_be_visible(visible=visible)


@key("anywhere", "T")
def the_theme_turns(tab: Visit, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    tab.go("/tiny")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    press(page, "T")
    assert page.evaluate(ground) != before


@key("anywhere", "b")
def back(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H3")
    tab.go("/tiny/heads/L1H4")
    press(page, "b")
    expect(mono(page)).to_have_text("L1H3")


@key("anywhere", "n")
def the_next_head_to_annotate(tab: Visit, page: Page) -> None:
    tab.go("/wide")
    target = page.locator("[data-key=n]").get_attribute("href")
    press(page, "n")
    page.wait_for_url(f"**{target}")
    following = page.locator("[data-key=n]").get_attribute("href")
    assert following != target
    press(page, "n")
    page.wait_for_url(f"**{following}*")


@key("anywhere", "Esc")
def a_field_and_the_sheet_are_left(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "/", "Esc")
    expect(page.locator("input[type=search]")).not_to_be_focused()
    press(page, "?", "Esc")
    expect(page.locator("#keys")).to_be_hidden()
