"""Keys of a fast hand: each means what it says on the page, however slow the connection is."""

import pytest
from playwright.sync_api import expect

from app.domain.refs import HeadRef
from tests.support.annotation_page import (
    HEAD,
    NEXT,
    Keyboard,
    content,
    label_of,
    labels,
    names_on_keys,
    press,
    record,
    wait_until_stored,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


NINE = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def test_a_new_group_has_a_key_at_once_though_nine_are_offered_and_keeps_it(store, tab):
    label_of(store, HeadRef(1, 2), NINE)
    tab.go(HEAD)
    page = tab.page
    assert list(names_on_keys(page).values()) == NINE
    press(page, "g", *"dates", "Enter")
    press(page, "g", *"towns", "Enter")
    assert names_on_keys(page)["1"] == "dates"
    assert names_on_keys(page)["2"] == "towns"
    press(page, "2", "1", "3")
    wait_until_stored(page)
    meant = ["dates", "towns", "towns", "dates", "three"]
    assert labels(page)[:5] == meant
    page.reload()
    keys = names_on_keys(page)
    assert [keys[key] for key in "123"] == ["dates", "towns", "three"]
    press(page, "1", "2", "3")
    wait_until_stored(page)
    assert labels(page)[:8] == [*meant, "dates", "towns", "three"]


def test_a_key_that_was_pressed_out_of_order_stays_the_key_of_its_group(tab):
    tab.go(HEAD)
    page = tab.page
    before = names_on_keys(page)
    press(page, "5", "2", "5")
    wait_until_stored(page)
    page.reload()
    assert names_on_keys(page) == before
    press(page, "5", "2", "1")
    wait_until_stored(page)
    numbers = (5, 2, 5, 5, 2, 1)
    assert labels(page)[:6] == [before[str(n)] for n in numbers]


def test_groups_of_the_last_head_have_their_keys_on_the_next(tab):
    tab.go(HEAD)
    page = tab.page
    for name in ("dates", "towns"):
        press(page, "g", *name, "Enter")
    press(page, *"12121212")
    wait_until_stored(page)
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    press(page, "2", "1")
    wait_until_stored(page)
    assert labels(page, NEXT)[:2] == ["towns", "dates"]


def test_a_typed_beginning_is_the_group_that_there_is_and_a_new_one_is_said_to_be_new(tab):
    tab.go(HEAD)
    page = tab.page
    says = page.locator("#completes")
    press(page, "g", *"dup")
    expect(says).to_have_text("into “duplicate token”, key 3")
    press(page, "Enter", "g", *"dupes of a kind")
    expect(says).to_have_text("a new group “dupes of a kind”, as key 1")
    press(page, "Enter", "g", *"DUP", "Enter", "g", *"dup", "Shift+Enter")
    wait_until_stored(page)
    assert labels(page)[:4] == ["duplicate token", "dupes of a kind", "dupes of a kind", "dup"]


def test_letters_right_after_c_are_the_note(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    page.locator("article.feature-entry").nth(1).focus()
    press(page, "c", *"snl1h")
    expect(page.locator("#evidence [name=evidence_note]")).to_have_value("snl1h")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    wait_until_stored(page)
    page.wait_for_timeout(600)
    assert page.url.endswith(HEAD)
    assert [link["note"] for link in content(page)["evidence"]] == ["snl1h"]
    assert set(labels(page)) == {None}
    assert record(page, NEXT) is None


def test_keys_after_submitting_touch_neither_head(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    press(page, *"1" * 10, "Control+Enter", *"2r]sc", "Control+Enter", "n")
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    page.wait_for_timeout(1500)
    kept = record(page)
    assert (kept["status"], set(labels(page)), kept["content"]["roles"]) == ("submitted", {"induction"}, [])
    assert record(page, NEXT) is None
    expect(page.locator("h1")).to_have_text("L0H1")


def test_keys_before_the_script_is_there_wait_for_it(tab):
    page = tab.page
    held = []
    page.route("**/static/js/annotate.js*", lambda route: held.append(route))
    page.goto(f"{tab.base}{HEAD}", wait_until="commit")
    expect(page.locator("h1")).to_have_text("L0H0")
    press(page, "2", "1", "l", "Control+Enter", "g")
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("L0H1")
    for _ in range(100):  # the save goes out as the page is left
        if record(page) is None:
            page.wait_for_timeout(50)
    assert labels(page)[:3] == ["previous token", "induction", None]
    assert record(page)["status"] == "draft"


def test_a_head_like_the_last_takes_at_most_eighteen_keys(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "g", *"dates", "Enter", "g", *"towns", "Enter", *"11112222")
    wait_until_stored(page)
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    keyboard = Keyboard(page)
    keyboard.press(*"1122112211", "r", "p", "c", "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H2")
    assert keyboard.count <= 18
    kept = record(page, NEXT)
    assert (kept["status"], kept["head_type"]) == ("submitted", "bisemantic")
    assert labels(page, NEXT) == [{"1": "dates", "2": "towns"}[key] for key in "1122112211"]
    [claim] = kept["content"]["evidence"]
    assert (kept["content"]["roles"], claim["kind"]) == (["previous token"], "example")


def test_what_is_cited_is_what_was_looked_at(tab):
    tab.go(HEAD)
    page = tab.page
    rows = page.locator("article.feature-entry")
    strongest = [f"{row.get_attribute('id')}:{row.get_attribute('data-strongest')}" for row in rows.all()]
    press(page, "1", "1", "c", *"labelled", "Enter")  # the cursor has gone on to the third
    press(page, "k", "k", "c", *"seen", "Enter")
    wait_until_stored(page)
    cited = [(link["kind"], link["target"], link["note"]) for link in content(page)["evidence"]]
    assert cited == [("example", strongest[1], "labelled"), ("example", strongest[0], "seen")]


@pytest.mark.parametrize(("keys", "of"), [("", 0), ("jj", 1)])
def test_after_all_proposals_at_once_the_first_is_cited_or_where_the_cursor_is(tab, keys, of):
    tab.go(HEAD.replace("L0H0", "L0H2"))
    page = tab.page
    rows = page.locator("article.feature-entry").all()
    proposed = page.locator("article.feature-entry:has(.suggestion)").all()
    assert 0 < len(proposed) < len(rows)  # some stay open
    target = (rows[of] if keys else proposed[0]).get_attribute("id")
    press(page, *keys, "Y", "c", *"all", "Enter")
    wait_until_stored(page)
    [link] = content(page, HEAD.replace("L0H0", "L0H2"))["evidence"]
    assert link["target"].startswith(f"{target}:")


def test_keys_can_be_bound_to_others_and_enter_alone_can_submit(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "?")
    page.locator("#enter-submits").check()
    page.locator(".bindings summary").click()
    field = page.locator("[name='key 1']")
    field.fill("r")
    field.blur()
    expect(page.locator(".bindings [role=status]")).to_contain_text("r is the key of")
    expect(field).to_have_value("1")
    field.fill("q")
    field.blur()
    press(page, "Escape")
    page.reload()
    expect(page.locator("#groups li kbd").first).to_have_text("q")
    press(page, "1", *"q" * 10)
    press(page, "Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    assert record(page)["status"] == "submitted"
    assert set(labels(page)) == {"induction"}
