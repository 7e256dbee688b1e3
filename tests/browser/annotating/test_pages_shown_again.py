"""A page that the browser kept, as Back shows it: renewed from the store before any key is heard.

The browser tells it by `pageshow` with `persisted`; one that is driven keeps no page, so the tests send that event.
"""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import HEAD, labels, press, record, wait_until_stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHOW_AGAIN = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


def test_a_kept_page_is_renewed_before_a_key_is_heard(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "1")
    wait_until_stored(page)
    other = page.context.new_page()
    other.goto(f"{tab.base}{HEAD}")
    other.locator("article.feature-entry").nth(4).focus()
    press(other, "2", "]")
    wait_until_stored(other)
    other.close()
    page.evaluate(SHOW_AGAIN)
    press(page, "3", "]")
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    wait_until_stored(page)
    expect(page.locator(".warning")).to_have_count(0)
    assert labels(page)[:5] == ["induction", "duplicate token", None, None, "previous token"]
    assert record(page)["content"]["confidence"] == 2


def test_a_kept_page_of_a_submitted_head_can_be_edited_again(tab):
    tab.go(HEAD)
    page = tab.page
    page.route("**/heads/L0H1", lambda route: route.abort("aborted"))
    press(page, *"1" * 10, "Control+Enter")
    expect(page.locator("#main")).to_have_attribute("inert", "")
    for _ in range(100):
        if (record(page) or {}).get("status") != "submitted":
            page.wait_for_timeout(50)
    page.wait_for_timeout(300)
    press(page, "2")  # the page is as good as left
    page.evaluate(SHOW_AGAIN)
    expect(page.locator("#main")).not_to_have_attribute("inert", "")
    page.locator("article.feature-entry").first.focus()
    press(page, "2")
    wait_until_stored(page)
    for _ in range(100):
        if labels(page)[0] == "induction":
            page.wait_for_timeout(50)
    assert labels(page) == ["previous token", *["induction"] * 9]
    assert record(page)["status"] == "submitted"


def test_a_page_that_was_asked_for_before_the_last_save_is_renewed(tab):
    """The server drew it while the save was under way; the save was answered before the page came."""
    tab.go(HEAD)
    page, early = tab.page, []
    page.route("**/heads/L0H0?rank=fve", lambda route: early.append((route, route.fetch())), times=1)
    press(page, "1", "2")
    page.evaluate("location.assign('?rank=fve')")
    for _ in range(300):
        if not (early and record(page)):
            page.wait_for_timeout(50)
    page.wait_for_timeout(500)  # for the answer to the save
    [(route, answer)] = early
    route.fulfill(response=answer)
    page.wait_for_url("**rank=fve")
    expect(page.locator("#grouped")).to_have_text("2 of 10 grouped", timeout=15000)
    press(page, "3")
    wait_until_stored(page)
    expect(page.locator(".warning")).to_have_count(0)
    assert len([label for label in record(page)["content"]["labels"] if label["group"]]) == 3
