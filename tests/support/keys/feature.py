"""Keys of the page of a feature."""

from playwright.sync_api import Locator, Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import align, key, mono, press, values


def examples(page: Page) -> Locator:
    return page.locator(".feature-main .examples > li")


@key("feature", "j", "k")
def examples_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3")
    press(page, "j", "j")
    expect(examples(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(examples(page).nth(0)).to_be_focused()


@key("feature", "h", "l")
def the_features_beside_it(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F10")
    press(page, "l")
    expect(mono(page)).to_have_text("F17")
    page.wait_for_load_state()
    press(page, "h")
    expect(mono(page)).to_have_text("F10")


@key("feature", "e")
def an_example_opens_to_its_whole_text(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3")
    press(page, "j", "e")
    expect(examples(page).first).to_have_class("example-row whole-example")
    expect(examples(page).first.locator(".whole-text")).to_have_count(2)


@key("feature", "c")
def the_example_or_the_feature_is_cited(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F17?head=L1H7")
    press(page, "c")
    expect(page.locator("#cited")).to_contain_text("Cited F17 as evidence 1 of your record of L1H7.")
    press(page, "j", "c")
    expect(page.locator("#cited")).to_contain_text("Cited the example as evidence 2")
    expect(examples(page).first.locator(".cite-example")).to_have_text("2")


@key("feature", "d")
def dfa_goes_through_every_head_and_all(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3?head=L1H7")
    for name in ("L1H8", "all heads", "L1H0"):
        press(page, "d")
        expect(page.locator(".segmented > a[aria-current]").first).to_have_text(name)
        page.wait_for_load_state()


@key("feature", "a")
def a_feature_is_aligned_by_token(tab: Visit, page: Page) -> None:
    align(tab, page, "/tiny/features/L1F3?head=L1H2")


@key("feature", "v")
def values_of_a_feature(tab: Visit, page: Page) -> None:
    values(tab, page, "/tiny/features/L1F3")
