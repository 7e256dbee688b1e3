"""By keys alone: the examples of a head without features are grouped, its type is chosen, and it is submitted."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import content, labels, press, record, wait_until_saved
from tests.support.run_data import RunShape, make_run, store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGE = "/tiny/heads/L1H1"


@pytest.fixture
def store(sqlite_template, tmp_path):
    return store_with(
        sqlite_template, tmp_path, make_run("tiny", 1, RunShape(n_layers=2, n_heads=3, sae_layers=(0,)))
    )


def test_examples_are_grouped_and_the_type_is_chosen_by_keys(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    refs = page.locator(".grouped-example").evaluate_all("rows => rows.map((row) => row.id)")
    assert len(refs) == 10
    press(page, "g", *"commas", "Enter", "g", *"names", "Enter", *"11111112")
    expect(page.locator("#type b")).to_have_text("no type yet; groups so far: 2")
    expect(page.locator("#grouped")).to_have_text("10 of 10 grouped")
    press(page, "c", *"a comma", "Enter")
    wait_until_saved(page)
    assert labels(page, PAGE) == ["commas", "names", *["commas"] * 7, "names"]
    [cited] = content(page, PAGE)["evidence"]
    assert (cited["target"], cited["note"]) == (refs[9], "a comma")
    press(page, "Control+Enter")
    expect(page.locator("#asks")).to_contain_text("No type is chosen")
    press(page, "t")
    expect(page.locator("#asks")).to_contain_text("b plausibly bisemantic")
    press(page, "b")
    expect(page.locator("#type b")).to_have_text("plausibly bisemantic")
    press(page, "Control+Enter")
    expect(page.locator("h1")).not_to_have_text("L1H1")
    stored = record(page, PAGE)
    assert (stored["status"], stored["head_type"]) == ("submitted", "bisemantic")
    assert stored["content"]["override_reason"] == "groups of its examples"


def test_labels_stay_while_other_examples_are_looked_at(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    press(page, "1", "2", "-")
    page.locator(".groups-of-attention a").nth(2).click()
    page.wait_for_url("**group=2**")
    page.wait_for_selector("#groups.numbered")
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    press(page, "3")  # an example of the interval: stored, and not counted
    wait_until_saved(page)
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    of_page = content(page, PAGE)["labels"]
    assert [each["unclear"] for each in of_page][:3] == [False, False, True]
    assert [bool(each["group"]) for each in of_page] == [True, True, *[False] * 8, True]
    tab.go(PAGE)
    press(page, "j", "j", "0")
    expect(page.locator("#grouped")).to_have_text("2 of 10 grouped")
    wait_until_saved(page)
    assert len(content(page, PAGE)["labels"]) == 11


def test_what_is_typed_after_the_type_is_its_reason(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    press(page, "g", *"commas", "Enter", "t", "b", *"musings", "Enter", "1")
    wait_until_saved(page)
    expect(page.locator("h1")).to_have_text("L1H1")
    stored = content(page, PAGE)
    assert (stored["override"], stored["override_reason"]) == ("bisemantic", "musings")
    assert labels(page, PAGE)[:3] == ["commas", "commas", None]
    assert (stored["notes"], stored["roles"]) == ("", [])
    # Enter alone leaves the reason that stands there, and the next key is a command again.
    press(page, "t", "m", "Enter", "1")
    wait_until_saved(page)
    stored = content(page, PAGE)
    assert (stored["override"], stored["override_reason"]) == ("monosemantic", "musings")
    assert labels(page, PAGE)[:4] == ["commas", "commas", "commas", None]


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_heads_of_columns_are_whole_and_fields_stay_within_the_form(tab, width):
    page = tab.page
    page.set_viewport_size({"width": width, "height": 900})
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    press(page, "t", "e", "Enter")
    expect(page.locator("[name=override_reason]")).to_be_visible()
    cut = page.locator(".strip-head :is(b, i)").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    )
    assert cut == []
    outside = page.locator(".override").evaluate(
        """(part) => [...part.querySelectorAll("select, input")].filter((one) => one.offsetParent).filter((one) =>
            one.getBoundingClientRect().right > part.getBoundingClientRect().right + 0.5).map((one) => one.name)"""
    )
    assert outside == []
