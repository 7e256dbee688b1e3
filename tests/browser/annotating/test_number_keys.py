"""A number key means one group in this browser and atlas, however many groups are offered."""

import pytest
from playwright.sync_api import expect

from app.domain.refs import HeadRef
from tests.support.annotation_page import (
    HEAD,
    NEXT,
    label_of,
    labels,
    names_on_keys,
    press,
    wait_until_stored,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NINE = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
NEW = ["dates", "towns", "ships"]


def pressed(page, *keys):
    press(page, *keys)
    wait_until_stored(page)


def stepped(page, key, said):
    press(page, key)
    expect(page.locator("#saved")).to_have_text(f"{said}: done")


def submit(page, following):
    press(page, "Control+Enter", "Control+Enter")
    expect(page.locator("h1")).to_have_text(following)
    page.wait_for_selector("#groups.numbered")


@pytest.fixture
def nine(store, tab):
    """A page where the nine groups of another head are offered."""
    label_of(store, HeadRef(1, 2), NINE)
    tab.go(HEAD)
    return tab.page


@pytest.fixture
def twelve(nine):
    """The page with three new groups beside the nine."""
    for name in NEW:
        pressed(nine, "g", *name, "Enter")
    assert nine.locator("#groups li").count() == 12
    assert set(NEW) < set(names_on_keys(nine).values())
    return nine


def test_no_key_changes_by_an_undo(twelve):
    keys = names_on_keys(twelve)
    for key, said in ("u", "undo"), ("u", "undo"), ("U", "redo"):
        stepped(twelve, key, said)
        assert names_on_keys(twelve) == keys
    for key in "4", "5":
        pressed(twelve, key)
    assert labels(twelve)[:4] == ["dates", "towns", keys["4"], keys["5"]]


def test_no_key_changes_by_a_reload(twelve):
    keys = names_on_keys(twelve)
    pressed(twelve, "4")
    twelve.reload()
    assert names_on_keys(twelve) == keys


def test_no_key_changes_on_the_next_head(twelve):
    keys = names_on_keys(twelve)
    for head in "L0H1", "L0H2":
        submit(twelve, head)
        assert names_on_keys(twelve) == keys
        pressed(twelve, "3")


def test_an_emptied_group_keeps_its_key(twelve):
    keys = names_on_keys(twelve)
    twelve.locator("article.feature-entry").nth(2).focus()
    pressed(twelve, "0")
    assert labels(twelve)[:3] == ["dates", "towns", None]
    assert names_on_keys(twelve) == keys
    twelve.reload()
    assert names_on_keys(twelve) == keys
    submit(twelve, "L0H1")
    assert names_on_keys(twelve) == keys


@pytest.mark.parametrize("n", [9, 8])
def test_no_key_changes_where_no_more_are_offered_than_there_are_keys(store, tab, n):
    label_of(store, HeadRef(1, 2), NINE[:n])
    tab.go(HEAD)
    page = tab.page
    keys = names_on_keys(page)
    pressed(page, "8")
    pressed(page, "2")
    stepped(page, "u", "undo")
    assert names_on_keys(page) == keys
    submit(page, "L0H1")
    assert names_on_keys(page) == keys
    pressed(page, "2")
    page.reload()
    assert names_on_keys(page) == keys


def test_a_new_group_takes_the_key_that_was_in_use_longest_ago_and_the_page_says_so(nine):
    pressed(nine, *"234156789")
    submit(nine, "L0H1")
    pressed(nine, *"13245678")
    nine.locator("article.feature-entry").nth(1).focus()
    pressed(nine, "2")
    submit(nine, "L0H2")
    assert list(names_on_keys(nine).values()) == NINE
    pressed(nine, "g", *"dates", "Enter")
    says = nine.locator("#completes")
    expect(says).to_have_text("“dates” is key 9, which was “nine”")
    keys = names_on_keys(nine)
    assert keys == dict(zip("123456789", [*NINE[:8], "dates"], strict=True))
    pressed(nine, "g", *"towns", "Enter")
    expect(says).to_have_text("“towns” is key 3, which was “three”")
    keys["3"] = "towns"
    assert names_on_keys(nine) == keys
    nine.reload()
    assert names_on_keys(nine) == keys
    pressed(nine, "g", *"nine", "Enter")
    expect(says).to_contain_text("“nine” is key ")
    assert labels(nine, "/tiny/heads/L0H2")[:3] == ["dates", "towns", "nine"]
    assert "nine" in names_on_keys(nine).values()


def test_two_tabs_have_the_same_keys(nine, tab):
    page = nine
    other = page.context.new_page()
    other.goto(tab.base + NEXT)
    other.wait_for_selector("#groups.numbered")
    pressed(other, "g", *"dates", "Enter")
    expect(page.locator("#groups li").first.locator("[name=group_name]")).to_have_value("dates")
    assert names_on_keys(page) == names_on_keys(other)
    pressed(page, "g", *"towns", "Enter", "1")
    assert labels(page)[:2] == ["towns", "dates"]
    expect(other.locator("#groups li").nth(1).locator("[name=group_name]")).to_have_value("towns")
    keys = names_on_keys(page)
    assert names_on_keys(other) == keys
    for each in page, other:
        each.reload()
        assert names_on_keys(each) == keys
    # A name that is typed in one tab leaves nothing of itself in the other.
    n = page.locator("#groups li").count()
    other.locator("#groups li:not(.off) [name=group_name]").first.fill("")
    other.locator("#groups li:not(.off) [name=group_name]").first.type("days")
    wait_until_stored(other)
    assert page.locator("#groups li").count() <= n + 1
    assert not {"d", "da", "day"} & set(
        page.locator("[name=group_name]").evaluate_all("e => e.map(x => x.value)")
    )


NO_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
FULL_STORAGE = "Storage.prototype.setItem = () => { throw new Error('full'); }"


@pytest.mark.parametrize("script", [NO_STORAGE, FULL_STORAGE])
def test_no_key_changes_by_an_undo_where_the_browser_keeps_nothing(store, tab, script):
    label_of(store, HeadRef(1, 2), NINE)
    page = tab.page
    page.add_init_script(script)
    tab.go(HEAD)
    for name in NEW:
        pressed(page, "g", *name, "Enter")
    keys = names_on_keys(page)
    for key, said in ("u", "undo"), ("U", "redo"):
        stepped(page, key, said)
        assert names_on_keys(page) == keys


def test_a_page_that_is_gone_back_to_has_the_keys_of_the_last(twelve):
    submit(twelve, "L0H1")
    pressed(twelve, "g", *"more", "Enter")
    keys = names_on_keys(twelve)
    assert "more" in keys.values()
    twelve.go_back()
    expect(twelve.locator("h1")).to_have_text("L0H0")
    wait_until_stored(twelve)
    assert names_on_keys(twelve) == keys


def test_a_tenth_group_in_use_is_said_to_have_no_key(nine):
    pressed(nine, *"123456789")
    keys = names_on_keys(nine)
    says = nine.locator("#completes")
    press(nine, "g", *"dates")
    expect(says).to_have_text("a new group “dates”, without a key")
    pressed(nine, "Enter")
    expect(says).to_have_text("“dates” has no key")
    assert names_on_keys(nine) == keys
    assert labels(nine) == [*NINE, "dates"]
    nine.reload()
    assert names_on_keys(nine) == keys
