"""Keys of the atlas."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.browsing import Visit
from tests.support.keys.registry import key, mono, press


def cell(page: Page, head: str) -> Locator:
    return page.locator(f"a.cell[href$='/{head}']")


@key("atlas", "↑", "↓", "←", "→")
def arrows_move_in_the_grid(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓")
    expect(cell(page, "L0H0")).to_be_focused()
    for each, head in (("↓", "L1H0"), ("→", "L1H1"), ("↑", "L0H1"), ("←", "L0H0")):
        press(page, each)
        expect(cell(page, head)).to_be_focused()


@key("atlas", "↵")
def the_cell_opens(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓", "→", "↵")
    expect(mono(page)).to_have_text("L0H1")


@key("atlas", "1", "9")
def the_colour_is_chosen(tab: Visit, page: Page) -> None:
    tab.go("/tiny?colour=progress")
    for number in "123456789":
        press(page, number)
        expect(page.locator("[data-key][aria-current] kbd").first).to_have_text(number)
        page.wait_for_load_state()


@key("atlas", "s")
def heads_are_sorted_in_their_layer(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "s")
    expect(page.locator("thead th").first).to_have_text("1st")


@key("atlas", "c")
def the_focused_head_is_compared(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓", "c")
    page.wait_for_url("**/tiny/compare?heads=L0H0")


@key("atlas", "x")
def the_focused_head_is_ablated(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "x")  # no head is meant yet
    press(page, "↓", "→")
    expect(page.locator("#card footer")).to_contain_text("ablate")
    press(page, "x")
    page.wait_for_url("**/tiny/experiments?ablate=L0H1#ablate")
    expect(page.locator("#ablate pre")).to_have_text(re.compile("experiment head-ablation .*--layer 0"))
