"""A label or a citation is of the row that the page shows it to be of, also where no row has been chosen."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import HEAD, content, labels, press, wait_until_saved

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_what_is_typed_after_citing_is_text_where_all_suggestions_were_accepted(tab):
    page = tab.page
    tab.go(HEAD)
    page.wait_for_selector("#groups.numbered")
    n_open = page.locator("article.feature-entry:not(:has(.suggestion))").count()
    press(page, "Y", *["-"] * n_open)
    wait_until_saved(page)
    page.reload()  # no row has been looked at, and none is open
    page.wait_for_selector("#groups.numbered")
    press(page, "c", *"what followed", "Enter")
    expect(page.locator("h1")).to_have_text("L0H0")
    wait_until_saved(page)
    first = page.locator("article.feature-entry").first.get_attribute("id")
    [cited] = content(page)["evidence"]
    assert cited["note"] == "what followed"
    assert cited["target"].startswith(f"{first}:")


def test_opening_all_rows_moves_no_label(tab):
    page = tab.page
    tab.go(HEAD)
    page.wait_for_selector("#groups.numbered")
    press(page, "E")
    expect(page.locator("article.feature-entry details[open]")).to_have_count(10)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.activeElement === document.body")
    press(page, "1")
    wait_until_saved(page)
    assert [bool(group) for group in labels(page)] == [True, *[False] * 9]


def test_opening_all_rows_leaves_the_cursor_where_it_is(tab):
    page = tab.page
    tab.go(HEAD)
    page.wait_for_selector("#groups.numbered")
    press(page, "j", "j", "j", "E")
    expect(page.locator("article.feature-entry details[open]")).to_have_count(10)
    page.wait_for_load_state("networkidle")
    press(page, "1")
    wait_until_saved(page)
    assert [bool(group) for group in labels(page)] == [False, False, True, *[False] * 7]
