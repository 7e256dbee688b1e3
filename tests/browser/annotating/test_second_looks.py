"""One's own consistency: a head comes again, blind, and the agreement table says how far the two looks agree."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import names_on_keys, press, record, wait_until_stored
from tests.support.run_data import RunShape, make_run, store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HEADS = [f"L{layer}H{head}" for layer in range(2) for head in range(5)]
TWICE = "L1H1"  # the one of them whose hash is a tenth's, for the annotator `me`
PAGE, LOOK = f"/tiny/heads/{TWICE}", f"/tiny/heads/{TWICE}?look={TWICE}"
NOTE = "what I said at first"


@pytest.fixture
def store(sqlite_template, tmp_path):
    return store_with(
        sqlite_template, tmp_path, make_run("tiny", 1, RunShape(n_layers=2, n_heads=5, sae_layers=(0, 1)))
    )


def label_and_submit(page, keys, note=""):
    page.wait_for_load_state()
    press(page, *keys)
    if note:
        page.locator("[name=notes]").fill(note)
    page.keyboard.press("Control+Enter")


def test_a_head_comes_again_blind_and_the_table_counts_how_far_the_looks_agree(tab):
    page = tab.page
    tab.go("/tiny/next")
    for head in HEADS:
        expect(page.locator("h1")).to_have_text(head, timeout=15000)
        twice = head == TWICE
        label_and_submit(page, "1111122222" if twice else "1111111111", NOTE if twice else "")
        if head == HEADS[0]:
            page.wait_for_url(f"**{HEADS[1]}")
            tab.go("/tiny")
            page.locator("p", has_text="twice, blind").get_by_role("link", name="yes").click()
    page.wait_for_url(f"**{LOOK}")
    expect(page.locator("#ann-title")).to_have_text("Second look")
    first = record(page, PAGE)
    assert first["content"]["notes"] == NOTE
    assert NOTE not in page.content()
    values = page.locator('[name^="label:"]').evaluate_all("fields => fields.map(field => field.value)")
    assert values == [""] * len(values) != []
    assert page.locator("[name=base_version]").input_value() == "0"
    label_and_submit(page, "1111112222")
    page.wait_for_url("**/tiny")
    assert record(page, PAGE) == first
    tab.go("/tiny/annotations")
    rows = page.get_by_role("table", name="Self-consistency of me").locator("tbody tr")
    name = "row => row.querySelector('th').firstChild.textContent.trim()"
    said = {row.evaluate(name): row.locator("td").all_inner_texts() for row in rows.all()}
    # Of ten features nine are in the same group; by chance that were 5/10 * 6/10 + 5/10 * 4/10 = 1/2.
    assert said["group of a feature"] == ["10", "90%", ".80"]
    assert said["head type"] == ["1", "100%", "n/a"]


def test_a_second_look_has_keys_and_drafts_of_its_own(tab):
    page = tab.page
    tab.go(PAGE)
    label_and_submit(page, ["g", *"dates", "Enter", *"222223333"], NOTE)
    expect(page.locator("h1")).not_to_have_text(TWICE)
    keys = names_on_keys(page)
    assert "dates" in keys.values()
    tab.go(LOOK)
    expect(page.locator("#ann-title")).to_have_text("Second look")
    first = record(page, PAGE)
    assert "dates" not in page.content()
    press(page, "g", *"again", "Enter")
    wait_until_stored(page)
    press(page, "3")
    wait_until_stored(page)
    its_own = names_on_keys(page)
    assert "again" in its_own.values()
    page.keyboard.press("u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    assert names_on_keys(page) == its_own
    page.reload()
    assert names_on_keys(page) == its_own
    assert "dates" not in page.content()
    # What is not stored when the look is left is sent to the look, not to the first record.
    page.route("**/annotation*", lambda route: route.abort())
    press(page, "2", "1")
    expect(page.locator("#saved")).to_have_text(re.compile("^not saved"))
    tab.go("/tiny")
    page.unroute("**/annotation*")
    tab.go(PAGE)
    page.wait_for_timeout(1500)
    assert page.locator(".warning").count() == 0
    assert record(page, PAGE) == first
    assert names_on_keys(page) == keys
    tab.go(LOOK)
    values = page.locator('[name^="label:"]').evaluate_all("fields => fields.map(field => field.value)")
    assert values[1:4] == ["2", "1", ""]
    tab.errors.clear()  # those of the connection that was cut
