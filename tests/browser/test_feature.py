"""A feature's page by keyboard: examples, their whole text, alignment, values, the head whose DFA is shown."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.browsing import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_examples_by_keyboard(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3")
    rows = visit.page.locator(".feature-main .examples > li")
    for _ in range(3):
        visit.page.keyboard.press("j")
    expect(rows.nth(2)).to_be_focused()
    visit.page.keyboard.press("k")
    expect(rows.nth(1)).to_be_focused()
    before = visit.page.url
    visit.page.keyboard.press("e")
    expect(rows.nth(1)).to_have_class("example-row whole-example")
    expect(rows.nth(1)).to_be_focused()
    expect(rows.nth(1).locator(".whole-text")).to_have_count(2)
    assert visit.page.url == before
    visit.page.keyboard.press("v")
    shown = "getComputedStyle(document.querySelector('.peak[data-v]'), '::after').content"
    assert visit.page.evaluate(shown) not in ("none", "normal")
    visit.page.keyboard.press("v")
    assert visit.page.evaluate(shown) == "none"


def test_alignment_and_head_are_in_the_address(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3?head=L1H2")
    sources = visit.page.locator(".source-strip > b > :last-child.peak")
    expect(sources).to_have_count(0)
    visit.page.keyboard.press("a")
    expect(sources.first).to_be_visible()
    assert "align=token" in visit.page.url
    visit.page.wait_for_load_state()
    visit.page.keyboard.press("d")
    expect(visit.page.locator(".segmented a[aria-current]").first).to_have_text("L1H3")
    assert "align=token" in visit.page.url
    visit.page.go_back()
    expect(visit.page.locator(".segmented a[aria-current]").first).to_have_text("L1H2")


def test_both_hinges_hold_when_aligned_by_token(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3?align=token")
    for side in (".source-strip", ".destination-strip"):
        ends = visit.page.locator(f".examples {side} > b").evaluate_all(
            "parts => parts.map(part => Math.round(part.getBoundingClientRect().right))"
        )
        assert len(ends) > 20
        assert len(set(ends)) == 1


def test_documents_stand_below_their_examples(visit: Visit) -> None:
    visit.go("/tiny/features/L1F3")
    lefts = visit.page.locator(".interval-row:has(p)").evaluate_all(
        """rows => rows.map(row => ["ol", "p"].map(part =>
            row.querySelector(part)?.getBoundingClientRect().left).filter(left => left !== undefined))"""
    )
    assert any(len(pair) == 2 for pair in lefts)
    assert all(len(set(pair)) == 1 for pair in lefts)


def test_the_menu_of_heads_and_all_of_them(visit: Visit) -> None:
    page = visit.page
    visit.go("/tiny/features/L1F3?head=L1H2")
    menu, summary = page.locator("details.other-heads .popover"), page.locator(".other-heads summary")
    for close in (lambda: page.keyboard.press("Escape"), lambda: page.locator("h1").click()):
        summary.click()
        expect(menu).to_be_visible()
        close()
        expect(menu).to_be_hidden()
    page.get_by_role("link", name="all heads").click()
    expect(page.locator(".segmented > a[aria-current]").first).to_have_text("all heads")
    assert "head=all" in page.url
    expect(page.locator(".example-head .strip-head i").first).to_have_text("source token, DFA of all heads")
    page.keyboard.press("c")
    expect(page.locator("#cited")).to_have_text(re.compile(r"^\s*To cite an example choose one head"))


def test_c_cites_what_has_the_focus_and_undo_takes_it_back(visit: Visit) -> None:
    page = visit.page
    visit.go("/tiny/features/L1F10?head=L1H4")
    line, marks = page.locator("#cited"), page.locator(".examples .cite-example.on")
    page.keyboard.press("c")
    expect(line).to_have_text(re.compile("^Cited F10 as evidence 1 of your record of L1H4. undo$"))
    expect(page.locator("#cite button")).to_have_text(re.compile("feature cited, 1"))
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(line).to_have_text(re.compile("^Cited the example as evidence 2"))
    expect(page.locator(".examples > li").nth(1).locator(".cite-example")).to_have_text("2")
    expect(page.locator(".examples > li").nth(1)).to_be_focused()
    page.keyboard.press("c")
    expect(line).to_have_text("Already cited in your record of L1H4.")
    page.keyboard.press("e")
    expect(page.locator(".examples > li.whole-example .cite-example")).to_have_text("2")
    page.reload()
    assert marks.all_inner_texts() == ["2"] * marks.count()
    marks.first.click()
    expect(line).to_have_text(re.compile("^Took the example out"))
    expect(marks).to_have_count(0)
    line.get_by_role("button", name="undo").click()
    expect(marks.first).to_have_text("2")
    expect(line).to_have_text("Undone in your record of L1H4.")
    page.goto(f"{visit.base}/tiny/heads/L1H4")
    expect(page.locator("#evidence li")).to_have_count(2)
