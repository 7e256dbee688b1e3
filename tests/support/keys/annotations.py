"""Keys of the spreadsheet of annotations."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, mono, press


def heads_of_the_sheet(page: Page) -> Locator:
    return page.locator(".sheet tbody th a")


@key("annotations", "j", "k")
def rows_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, "j", "j")
    expect(heads_of_the_sheet(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(heads_of_the_sheet(page).nth(0)).to_be_focused()


@key("annotations", "↵")
def a_row_opens(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    head = heads_of_the_sheet(page).first.inner_text()
    press(page, "j", "↵")
    expect(mono(page)).to_have_text(head)


def sorted_column(page: Page) -> Locator:
    return page.locator(".sheet th[aria-sort]")


@key("annotations", "o")
def sorted_by_the_next_column(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations?layers=1&columns=groups,notes")
    names = [name.rstrip(" ↑↓") for name in page.locator(".sheet thead th").all_inner_texts()]
    assert len(names) == 4
    expect(sorted_column(page)).to_have_text(re.compile(rf"^\s*{names[0]}"))
    for name in (*names[1:], names[0]):
        press(page, "o")
        expect(sorted_column(page)).to_have_text(re.compile(rf"^\s*{name}"))
        expect(sorted_column(page)).to_have_attribute("aria-sort", "ascending")
        page.wait_for_load_state()
    assert "layers=1" in page.url


@key("annotations", "O")
def the_order_turns(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations?layers=1&sort=head")
    first, last = (heads_of_the_sheet(page).nth(at).inner_text() for at in (0, -1))
    for order, head in (("descending", last), ("ascending", first)):
        press(page, "O")
        expect(sorted_column(page)).to_have_attribute("aria-sort", order)
        expect(heads_of_the_sheet(page).first).to_have_text(head)
        page.wait_for_load_state()


@key("annotations", ",")
def columns_are_chosen(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, ",")
    expect(page.locator("#columns input[type=checkbox]").first).to_be_focused()
    press(page, "Esc")
    expect(page.locator("#columns")).not_to_have_attribute("open", "")


@key("annotations", "X")
def the_export_takes_the_focus(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, "X")
    expect(page.locator(".export-bar a").first).to_be_focused()
