"""One record saved from two places, or sent more than once."""

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import HEAD, wait_until_saved
from tests.support.browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_d02_two_tabs_conflict_and_merge(tab, chromium, address):
    other = open_tab(chromium, address)
    for visit in (tab, other):
        visit.go(HEAD)
    other.page.locator("[name=notes]").fill("of the other tab")
    wait_until_saved(other.page)
    other.page.context.close()
    tab.page.locator("[name=notes]").fill("of this tab")
    expect(tab.page.locator(".warning")).to_be_visible(timeout=15000)
    tab.errors.clear()  # the browser reports the status 409
    expect(tab.page.locator(".clash")).to_contain_text("of the other tab")
    expect(tab.page.locator("[name=notes]")).to_have_value("of this tab")
    tab.page.get_by_label("stored:").check()
    tab.page.get_by_role("button", name="Save the merge").click()
    expect(tab.page.locator(".warning")).to_have_count(0)
    expect(tab.page.locator("[name=notes]")).to_have_value("of the other tab")


def test_d05_the_form_of_the_back_button_conflicts(tab):
    page = tab.page
    tab.go(HEAD)
    page.locator("[name=notes]").fill("first")
    wait_until_saved(page)
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1")
    page.go_back()
    expect(page.locator("h1")).to_have_text("L0H0")
    page.locator("[name=notes]").fill("after going back")
    page.wait_for_timeout(1500)
    # Either the page came fresh and saves, or it is stale and says so; nothing is overwritten silently.
    history = page.request.get(f"{tab.base}{HEAD}/history.json").json()["entries"]
    notes = [entry["record"]["content"]["notes"] for entry in history]
    assert "first" in notes
    assert notes[0] == "after going back" or page.locator(".warning").count() == 1
    tab.errors.clear()


def test_d03_a_triple_click_submits_once(tab):
    tab.go(HEAD)
    tab.page.locator("[name=notes]").fill("once")
    tab.page.get_by_role("button", name="Submit and next").click(click_count=3, no_wait_after=True)
    expect(tab.page.locator("h1")).to_have_text("L0H1")
    history = tab.page.request.get(f"{tab.base}{HEAD}/history.json").json()["entries"]
    assert sum(entry["record"]["status"] == "submitted" for entry in history) == 1
