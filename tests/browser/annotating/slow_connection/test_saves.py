"""Edits while saves are under way, lost or late: what is stored is what was meant."""

import random
import re

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import (
    HEAD,
    content,
    labels,
    names_on_keys,
    press,
    record,
    wait_until_stored,
)
from tests.support.browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_what_conflicts_is_not_submitted(tab, chromium, address, connection):
    page = tab.page
    tab.go(HEAD)
    other = open_tab(chromium, address)
    other.go(HEAD)
    other.page.locator("[name=notes]").fill("theirs")
    wait_until_stored(other.page)
    other.page.context.close()
    connection.delay_s = 0.3
    page.locator("[name=notes]").fill("mine")
    press(page, "Escape", *"1" * 10, "Control+Enter", *"123")
    expect(page.locator(".warning")).to_be_visible(timeout=15000)
    page.wait_for_timeout(1500)
    tab.errors.clear()  # the browser reports the status 409
    assert (record(page)["status"], content(page)["notes"]) == ("draft", "theirs")
    expect(page.locator("[name=notes]")).to_have_value("mine")
    expect(page.locator("#grouped")).to_have_text("10 of 10 grouped")
    page.get_by_role("button", name="Save the merge").click()
    expect(page.locator(".warning")).to_have_count(0)
    assert (content(page)["notes"], set(labels(page))) == ("mine", {"induction"})


def test_edits_of_any_kind_while_a_save_is_under_way_are_stored(tab, connection):
    tab.go(HEAD)
    page = tab.page
    n = page.locator(".suggestion").count()
    assert n
    connection.delay_s = 0.4
    press(page, "Y", "r", "d", "]", "]", "]")
    page.wait_for_timeout(600)
    press(page, "r", "i", "[")
    wait_until_stored(page)
    kept = content(page)
    assert sum(label["suggested"] for label in kept["labels"]) == n
    assert (set(kept["roles"]), kept["confidence"]) == ({"duplicate token", "induction"}, 2)


def test_what_is_edited_after_undo_is_made_on_what_undo_gives(tab, connection):
    tab.go(HEAD)
    page = tab.page
    press(page, "1")
    wait_until_stored(page)
    press(page, "2", "]")
    expect(page.locator("[value=undo]")).to_be_enabled()
    connection.delay_s = 0.5
    press(page, "u", "-", "m", *"why not")
    page.wait_for_timeout(300)
    press(page, *", then")
    expect(page.locator("[name=notes]")).to_be_focused()
    wait_until_stored(page)
    kept = content(page)
    assert kept["notes"] == "why not, then"
    assert [(each["group"], each["unclear"]) for each in kept["labels"]][:4] == [
        ("induction", False),
        (None, True),
        (None, False),
        (None, False),
    ]
    assert kept["confidence"] is None


SAID = """
window.said = [];
new MutationObserver(() => {
    const text = document.querySelector("#saved")?.textContent;
    if (text && text !== window.said.at(-1)) window.said.push(text);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


def test_nothing_is_said_to_be_saved_before_what_was_typed_after_undo_is(tab, connection):
    tab.go(HEAD)
    page = tab.page
    press(page, "1")
    wait_until_stored(page)
    press(page, "2")
    expect(page.locator("[value=undo]")).to_be_enabled()
    wait_until_stored(page)
    connection.delay_s = 1
    page.evaluate(SAID)
    press(page, "u", "m", *"why not")
    page.wait_for_function("() => window.said.some(text => text.includes('saved'))", timeout=20_000)
    wait_until_stored(page)
    assert content(page)["notes"] == "why not"
    assert [text for text in page.evaluate("window.said") if "saved" in text] == [
        page.locator("#saved").inner_text()
    ]


def test_what_is_typed_after_an_undo_and_a_redo_is_whole(tab, connection):
    tab.go(HEAD)
    page = tab.page
    for _ in range(2):
        press(page, "1")
        wait_until_stored(page)
    connection.delay_s = 0.4
    press(page, "u", "U", "m", *"sister says so")
    expect(page.locator("[name=notes]")).to_have_value("sister says so")
    wait_until_stored(page)
    assert content(page)["notes"] == "sister says so"


def with_two_labels(tab):
    """The page of a head whose first two features are labelled by the keys 1 and 2, and the names on the keys."""
    tab.go(HEAD)
    keys = names_on_keys(tab.page)
    for key in "12":
        press(tab.page, key)
        wait_until_stored(tab.page)
    return tab.page, keys


def test_keys_after_the_button_of_undo_are_meant_for_what_it_gives(tab, connection):
    page, keys = with_two_labels(tab)
    connection.delay_s = 0.5
    page.locator("[value=undo]").click()
    page.locator("[value=undo]").evaluate("button => button.blur()")
    press(page, "3")
    wait_until_stored(page)  # at once: nothing was said to be stored while the key waited
    assert labels(page)[:3] == [keys["1"], keys["3"], None]


@pytest.mark.parametrize(("steps", "said"), [("u", "undo"), ("uU", "redo")])
def test_nothing_is_said_to_be_saved_while_a_key_waits_for_a_step(tab, connection, steps, said):
    page, keys = with_two_labels(tab)
    for step in steps[:-1]:
        press(page, step)
        expect(page.locator("#saved")).to_have_text("undo: done")
    connection.delay_s = 0.5
    press(page, steps[-1], "3")
    assert page.locator("#saved").inner_text() == f"{said}: on its way"
    wait_until_stored(page)
    kept = ["1", "2", "3"] if said == "redo" else ["1", "3"]
    assert [group for group in labels(page) if group] == [keys[key] for key in kept]


def test_what_is_typed_while_a_save_is_under_way_is_one_step(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    press(page, "1")
    page.wait_for_timeout(450)  # the save of it is on its way
    press(page, "m")
    page.keyboard.type("a note that is longer than one answer takes", delay=60)
    wait_until_stored(page)
    stored = record(page)
    assert stored["content"]["notes"] == "a note that is longer than one answer takes"
    assert stored["version"] == 2


def test_what_is_not_stored_is_marked(tab, connection):
    tab.go(HEAD)
    connection.delay_s = 0.5
    press(tab.page, "1")
    first = tab.page.locator("article.feature-entry").first
    expect(first).to_have_class(re.compile("pending"))
    wait_until_stored(tab.page)
    expect(first).not_to_have_class(re.compile("pending"))


ROLES = {"i": "induction", "p": "previous token", "d": "duplicate token", "c": "copying"}


def one_edit(choose, page, meant, keys):
    """Makes one edit by keys, and notes what it means."""
    kind = choose.choice(("label", "label", "label", "role", "confidence", "note", "clear"))
    if kind in ("label", "clear"):
        at = choose.randrange(10)
        page.locator("article.feature-entry").nth(at).focus()
        key = "0" if kind == "clear" else choose.choice("1234567-")
        press(page, key)
        meant["labels"][at] = {"0": None, "-": "?"}.get(key, keys.get(key))
    elif kind == "role":
        key = choose.choice("ipdc")
        press(page, "r", key)
        meant["roles"] ^= {ROLES[key]}
    elif kind == "confidence":
        press(page, "]")
        meant["confidence"] = min(5, (meant["confidence"] or 0) + 1)
    else:
        press(page, "m", "x", "Escape")
        meant["notes"] += "x"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_edit_is_lost_whatever_is_lost_on_the_way(tab, connection, seed):
    choose = random.Random(seed)
    tab.go(HEAD)
    page = tab.page
    keys = names_on_keys(page)
    meant = {"labels": [None] * 10, "roles": set(), "confidence": None, "notes": ""}
    connection.delay_s, connection.choose = 0.15, random.Random(seed)
    for _ in range(60):
        one_edit(choose, page, meant, keys)
        page.wait_for_timeout(choose.choice((0, 0, 30, 200, 500)))
        if choose.random() < 0.3:
            page.evaluate("dispatchEvent(new Event('online'))")  # tries again at once
    connection.choose = None
    page.evaluate("dispatchEvent(new Event('online'))")
    wait_until_stored(page)
    tab.errors.clear()  # the browser reports what was lost
    kept = content(page)
    marks = ["?" if each["unclear"] else each["group"] for each in kept["labels"]]
    assert marks == meant["labels"]
    assert (set(kept["roles"]), kept["confidence"]) == (meant["roles"], meant["confidence"])
    assert kept["notes"] == meant["notes"]


def test_a_note_keeps_the_focus_while_the_page_changes(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    press(page, "1", "c", *"first half")
    wait_until_stored(page)
    page.locator(".cite-choices button").first.click()  # cites a score
    expect(page.locator("#evidence [name=evidence_note]").nth(1)).to_be_focused()
    press(page, *"of the score")
    wait_until_stored(page)
    notes = [(link["kind"], link["note"]) for link in content(page)["evidence"]]
    assert notes == [("example", "first half"), ("score", "of the score")]


def test_rows_that_open_while_one_types_keep_every_label(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.2
    press(page, "E", *"123-123-1")
    expect(page.locator("article.feature-entry.open")).to_have_count(10, timeout=15000)
    press(page, "2")
    wait_until_stored(page)
    kept = content(page)["labels"]
    groups = ["induction", "previous token", "duplicate token", None]
    assert [label["group"] for label in kept] == [*groups, *groups, "induction", "previous token"]
    assert [label["unclear"] for label in kept] == [label["group"] is None for label in kept]
