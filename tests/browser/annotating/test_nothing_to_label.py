"""A head without features and without examples, by keys alone: what would have been a name is no command."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import content, press, record, wait_until_saved
from tests.support.run_data import RunShape, make_run, store_with

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGE = "/tiny/heads/L1H1"


@pytest.fixture
def store(sqlite_template, tmp_path):
    run = make_run("tiny", 1, RunShape(n_layers=2, n_heads=3, sae_layers=(0,)))
    return store_with(sqlite_template, tmp_path, replace(run, attention={}))


def test_a_name_or_a_claim_that_has_no_place_is_left_out(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered", state="attached")
    assert page.locator(".grouped-example").count() == 0
    press(page, "g", *"commas", "Enter")
    press(page, "c", *"strings", "Enter")
    press(page, "g", *"su", "Escape", "r", "i", "]", "]", "m", *"sinks", "Escape")
    wait_until_saved(page)
    expect(page.locator("h1")).to_have_text("L1H1")
    stored = content(page, PAGE)
    assert (stored["notes"], stored["roles"], stored["confidence"]) == ("sinks", ["induction"], 2)
    assert (stored["groups"], stored["evidence"], record(page, PAGE)["status"]) == ([], [], "draft")


def test_it_is_said_why_nothing_happens(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered", state="attached")
    for key in "gc":
        press(page, key, "m")
        expect(page.locator("#asks")).to_contain_text("nothing to group or to cite")
        press(page, "Enter")
        expect(page.locator("#asks")).to_have_text("")
