"""A feature's page by keyboard: examples, their whole text, alignment, values, the head whose DFA is shown."""

import pytest
from conftest import Visit
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_examples_by_keyboard(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3")
    rows = visit.page.locator(".fmain .ex > li")
    for _ in range(3):
        visit.page.keyboard.press("j")
    expect(rows.nth(2)).to_be_focused()
    visit.page.keyboard.press("k")
    expect(rows.nth(1)).to_be_focused()
    before = visit.page.url
    visit.page.keyboard.press("e")
    expect(rows.nth(1)).to_have_class("er wh")
    expect(rows.nth(1)).to_be_focused()
    expect(rows.nth(1).locator(".wt")).to_have_count(2)
    assert visit.page.url == before
    visit.page.keyboard.press("v")
    shown = "getComputedStyle(document.querySelector('.pk[data-v]'), '::after').content"
    assert visit.page.evaluate(shown) not in ("none", "normal")
    visit.page.keyboard.press("v")
    assert visit.page.evaluate(shown) == "none"


def test_alignment_and_head_are_in_the_address(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3?head=L1H2")
    sources = visit.page.locator(".kL > b > :last-child.pk")
    expect(sources).to_have_count(0)
    visit.page.keyboard.press("a")
    expect(sources.first).to_be_visible()
    assert "align=token" in visit.page.url
    visit.page.wait_for_load_state()
    visit.page.keyboard.press("d")
    expect(visit.page.locator(".seg a[aria-current]").first).to_have_text("L1H3")
    assert "align=token" in visit.page.url
    visit.page.go_back()
    expect(visit.page.locator(".seg a[aria-current]").first).to_have_text("L1H2")


def test_both_hinges_hold_when_aligned_by_token(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3?align=token")
    for side in (".kL", ".kR"):
        ends = visit.page.locator(f".ex {side} > b").evaluate_all(
            "parts => parts.map(part => Math.round(part.getBoundingClientRect().right))"
        )
        assert len(ends) > 20
        assert len(set(ends)) == 1
