"""Pages that are left with edits on their way, and come back to."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import HEAD, labels, press, wait_until_stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_edits_of_a_page_that_is_left_are_stored_by_the_next(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 1.0
    press(page, "1")
    page.wait_for_timeout(700)  # the first save is on its way
    press(page, "2", "3")
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    connection.delay_s = 0.0
    expect(page.locator("h1")).to_be_visible()
    for _ in range(100):
        if not page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length"):
            break
        page.wait_for_timeout(100)
    assert labels(page)[:3] == ["induction", "previous token", "duplicate token"]


def test_the_page_that_back_shows_is_as_the_record_is(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "1", "2")
    wait_until_stored(page)
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1")
    page.go_back()
    expect(page.locator("h1")).to_have_text("L0H0")
    press(page, "3")
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    wait_until_stored(page)
    page.wait_for_timeout(800)
    expect(page.locator(".warning")).to_have_count(0)
    assert labels(page)[:4] == ["induction", "previous token", "duplicate token", None]


def test_back_with_an_edit_on_its_way_shows_it(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.6
    press(page, "1", "2")
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    page.go_back()
    expect(page.locator("h1")).to_have_text("L0H0", timeout=15000)
    press(page, "3")
    wait_until_stored(page)
    expect(page.locator(".warning")).to_have_count(0)
    assert labels(page)[:4] == ["induction", "previous token", "duplicate token", None]
