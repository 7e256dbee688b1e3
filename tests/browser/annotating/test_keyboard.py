"""Heads annotated by keyboard alone: how many keys it takes, what each does, and what the page shows of it."""

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import (
    HEAD,
    Keyboard,
    record,
    wait_until_saved,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_head_with_ten_obvious_features_takes_at_most_fifteen_keystrokes(tab):
    tab.go(HEAD)
    keyboard = Keyboard(tab.page)
    keyboard.press(*["1"] * 10, "r", "i", "]")
    expect(tab.page.locator("#type b")).to_have_text("plausibly monosemantic")
    keyboard.press("Control+Enter")
    expect(tab.page.locator("h1")).to_have_text("L0H1")
    assert keyboard.count <= 15
    kept = record(tab.page)
    assert (kept["status"], kept["head_type"]) == ("submitted", "monosemantic")
    assert (kept["content"]["roles"], kept["content"]["confidence"]) == (["induction"], 1)


def test_the_type_at_once_is_the_type_of_the_rule(tab):
    """The page's own rule against the server's, over many labellings."""
    from app.domain.annotations.head_types import HEAD_TYPE_NAMES, Mark, classify

    tab.go(HEAD)
    labels = {"": Mark.UNLABELLED, "unclear": Mark.UNCLEAR, "1": "a", "2": "b", "3": "c"}
    sizes = [s for s in itertools.product(range(11), repeat=5) if sum(s) == 10][::23]
    assert len(sizes) > 30
    for counts in sizes:
        values = [value for value, n in zip(labels, counts, strict=True) for _ in range(n)]
        tab.page.evaluate(
            """values => {
                document.querySelectorAll('select[name^="label:"]').forEach((select, i) => (select.value = values[i]));
                document.querySelector("[name=surprising]").dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            values,
        )
        by_rule = classify([labels[value] for value in values], 10)
        name = HEAD_TYPE_NAMES[by_rule.head_type] if by_rule.head_type else "no type yet"
        if by_rule.head_type and by_rule.n_unlabelled:  # no type is said before there is one
            n = len(by_rule.groups)
            name = f"so far {'one group' if n == 1 else f'{n} groups'}, {by_rule.n_unlabelled} open"
        assert tab.page.locator("#type b").inner_text() == name, values
    wait_until_saved(tab.page)


def test_keys_assign_clear_add_accept_and_undo_across_reloads(tab):
    tab.go(HEAD)
    page = tab.page
    page.keyboard.press("1")
    wait_until_saved(page)
    page.keyboard.press("g")
    page.keyboard.type("dates and years")
    page.keyboard.press("Enter")
    wait_until_saved(page)
    groups = [group["name"] for group in record(page)["content"]["groups"]]
    assert groups == ["induction", "dates and years"]
    assert [label["group"] for label in record(page)["content"]["labels"]][:3] == [*groups, None]
    page.reload()
    page.keyboard.press("u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    assert [group["name"] for group in record(page)["content"]["groups"]] == ["induction"]
    page.keyboard.press("U")
    expect(page.locator("#saved")).to_have_text("redo: done")
    assert [group["name"] for group in record(page)["content"]["groups"]] == groups
    page.locator("article.feature-entry").first.focus()
    page.keyboard.press("0")
    wait_until_saved(page)
    assert record(page)["content"]["labels"][0]["group"] is None
    row = page.locator("article.feature-entry:has(.suggestion)").first
    name = row.get_attribute("id")
    row.focus()
    page.keyboard.press("y")
    wait_until_saved(page)
    label = next(label for label in record(page)["content"]["labels"] if label["feature"] == name)
    assert label["suggested"]
    page.keyboard.press("c")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    page.keyboard.type("s1")  # letters are no keys while one types
    page.keyboard.press("Enter")
    wait_until_saved(page)
    assert record(page)["content"]["evidence"][0]["note"] == "s1"
    page.keyboard.press("m")
    page.keyboard.type("2 jobs [r]")
    page.keyboard.press("Escape")
    wait_until_saved(page)
    assert record(page)["content"]["notes"] == "2 jobs [r]"


def test_single_keys_can_be_switched_off(tab):
    tab.go(HEAD)
    tab.page.keyboard.press("?")
    tab.page.locator("#single-keys").uncheck()
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("1")
    expect(tab.page.locator("#grouped")).to_have_text("0 of 10 grouped")
    tab.page.reload()
    tab.page.keyboard.press("1")
    expect(tab.page.locator("#grouped")).to_have_text("0 of 10 grouped")


def test_the_bar_follows_the_keys_and_the_page_stays_as_it_was_shown(tab):
    tab.go(f"{HEAD}?k=12&align=token")
    bar, aligned = tab.page.locator("#bar"), tab.page.locator("[aria-label=Align] [aria-current]")
    expect(tab.page.locator(".hbar")).to_have_text("press 1–9", use_inner_text=True)
    tab.page.keyboard.press("1")
    wait_until_saved(tab.page)
    for key in ("1", "2", "-"):
        tab.page.keyboard.press(key)
    pieces = bar.locator("i")
    expect(pieces).to_have_count(2 + 1 + 6)
    expect(pieces.first).to_have_class("family-IN share-4")
    expect(bar).to_have_accessible_name(
        re.compile("2 in “induction”, 1 in “previous token”, 1 unclear, 6 open")
    )
    expect(tab.page.locator(".hbar")).to_have_text("", use_inner_text=True)
    wait_until_saved(tab.page)
    drawn = bar.inner_html()
    tab.page.locator("article.feature-entry").nth(2).locator("a.open-link").click()
    expect(tab.page.locator("article.feature-entry.open")).to_have_count(2)
    tab.page.keyboard.press("u")
    expect(pieces).to_have_count(1 + 9)
    expect(aligned).to_have_text("token")
    expect(tab.page.locator("article.feature-entry")).to_have_count(12)
    expect(tab.page.locator("article.feature-entry.open")).to_have_count(2)
    tab.page.keyboard.press("U")
    expect(pieces).to_have_count(9)
    assert bar.inner_html() == drawn
    tab.page.locator("[data-does=values]").click()  # still works on the page as it is now
    expect(tab.page.locator("main")).to_have_class(re.compile("values"))
    tab.page.reload()
    assert bar.inner_html() == drawn
    tab.page.keyboard.press("Control+Enter")  # six features are open, so it asks
    expect(tab.page.locator("#asks")).to_contain_text("6 of 10 features are open")
    tab.page.keyboard.press("Control+Enter")
    tab.page.wait_for_url("**/heads/L0H1?k=12&align=token")
