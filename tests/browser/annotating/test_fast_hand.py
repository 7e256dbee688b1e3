"""What keys mean to a hand that does not look: after an undo, after `Y`, on the next visit, for emptied groups."""

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import (
    HEAD,
    RUN,
    content,
    labels,
    names_on_keys,
    press,
    wait_until_stored,
)
from tests.support.run_data import store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Of L0H0's ten features these two get no suggestion.
PLAIN = {"L0F45", "L0F24"}


@pytest.fixture
def store(sqlite_template, tmp_path):
    def shown(feature):
        if str(feature.ref) not in PLAIN:
            return feature
        counts = {kind: np.zeros_like(n) for kind, n in feature.evidence.counts.items()}
        return replace(feature, evidence=replace(feature.evidence, counts=counts))

    features = {ref: shown(feature) for ref, feature in RUN.features.items()}
    return store_with(sqlite_template, tmp_path, replace(RUN, features=features))


def groups(page):
    return [group["name"] for group in content(page)["groups"]]


def pressed(page, *keys):
    """The keys as one step of undo."""
    press(page, *keys)
    wait_until_stored(page)


def test_a_group_that_holds_nothing_leaves_the_record_and_keeps_its_number(tab):
    tab.go(HEAD)
    page = tab.page
    second = names_on_keys(page)["2"]
    pressed(page, "g", *"haste", "Enter")
    assert groups(page) == ["haste"]
    pressed(page, "k", "2")
    assert (groups(page), labels(page)[0]) == ([second], second)
    assert names_on_keys(page)["1"] == "haste"
    pressed(page, "g", *"later", "Enter", "1")
    keys = names_on_keys(page)
    assert (keys["1"], keys["2"], keys["3"]) == ("haste", second, "later")
    assert labels(page)[:3] == [second, "later", "haste"]
    pressed(page, "k", "0")
    page.reload()
    assert groups(page) == [second, "later"]
    expect(page.locator("#groups li:not(.off)")).to_have_count(2)


def test_a_named_group_is_in_the_record_as_it_is_used_whatever_was_chosen_of_it(tab):
    tab.go(HEAD)
    page = tab.page
    pressed(page, "g", *"dates", "Enter")
    page.reload()
    page.locator("#groups select[name=group_abstraction]").select_option("concept")
    wait_until_stored(page)
    pressed(page, "Escape", "j", "0")
    assert groups(page) == []
    pressed(page, "1")
    assert [(group["name"], group["abstraction"]) for group in content(page)["groups"]] == [
        ("dates", "concept")
    ]


def test_the_next_label_after_an_undo_goes_to_the_row_that_was_undone(tab):
    tab.go(HEAD)
    page = tab.page
    keys = names_on_keys(page)
    pressed(page, "1")
    pressed(page, "2")
    press(page, "u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    pressed(page, "3", "1")
    assert labels(page)[:4] == [keys["1"], keys["3"], keys["1"], None]
    press(page, "u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    press(page, "U")
    expect(page.locator("#saved")).to_have_text("redo: done")
    pressed(page, "2")
    assert labels(page)[:5] == [keys["1"], keys["3"], keys["1"], keys["2"], None]


def test_the_next_label_after_all_suggestions_goes_to_a_row_without_one(tab):
    tab.go(HEAD)
    page = tab.page
    fifth = names_on_keys(page)["5"]
    pressed(page, "1", "Y", "5", "5")
    marks = content(page)["labels"]
    assert [each["feature"] for each in marks if not each["suggested"]] == [
        marks[0]["feature"],
        "L0F45",
        "L0F24",
    ]
    assert [each["group"] for each in marks if each["feature"] in PLAIN] == [fifth, fifth]
    assert all(each["suggested"] for each in marks[1:] if each["feature"] not in PLAIN)


def test_the_first_key_on_a_page_may_accept_a_suggestion(tab):
    tab.go(HEAD)
    page = tab.page
    suggestion = page.locator("article.feature-entry .suggestion span").first.inner_text()
    pressed(page, "y")
    first, *others = content(page)["labels"]
    assert (first["group"], first["suggested"]) == (suggestion, True)
    assert [each["group"] for each in others] == [None] * len(others)


def test_keys_go_on_after_the_letter_u_of_a_role(tab):
    tab.go(HEAD)
    page = tab.page
    first = names_on_keys(page)["1"]
    pressed(page, "r", "u", "1")
    stored = content(page)
    assert (stored["roles"], labels(page)[0]) == (["successor"], first)


def test_offered_groups_keep_their_numbers_over_an_undo_a_reload_and_the_next_head(tab):
    tab.go(HEAD)
    page = tab.page
    pressed(page, "1")
    pressed(page, "g", *"dates", "Enter")
    keys = names_on_keys(page)
    assert keys["2"] == "dates"
    pressed(page, "1")
    press(page, "u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    assert names_on_keys(page) == keys
    page.reload()
    assert names_on_keys(page) == keys
    pressed(page, *"1" * 8)
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    assert names_on_keys(page) == keys
