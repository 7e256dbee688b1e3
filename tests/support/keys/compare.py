"""Keys of the comparison of heads."""

from playwright.sync_api import Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, press


def compared(tab: Visit, page: Page, name: str, heads: list[str]) -> None:
    tab.go("/tiny/compare?heads=L1H3,L1H5")
    press(page, name)
    expect(page.locator("h1 a.mono")).to_have_text(heads)


@key("compare", "[")
def the_head_before(tab: Visit, page: Page) -> None:
    compared(tab, page, "[", ["L1H3", "L1H4"])


@key("compare", "]")
def the_head_after(tab: Visit, page: Page) -> None:
    compared(tab, page, "]", ["L1H3", "L1H6"])


@key("compare", "w")
def heads_change_places(tab: Visit, page: Page) -> None:
    compared(tab, page, "w", ["L1H5", "L1H3"])


@key("compare", "f")
def compared_by_the_other_ranking(tab: Visit, page: Page) -> None:
    compared(tab, page, "f", ["L1H3", "L1H5"])
    expect(page.locator(".segmented a[aria-current]")).to_have_text("FVE")


@key("compare", "t")
def scores_as_a_table(tab: Visit, page: Page) -> None:
    compared(tab, page, "t", ["L1H3", "L1H5"])
    expect(page.locator("details.table-view table").first).to_be_visible()
