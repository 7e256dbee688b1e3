"""What was typed while the connection, the tab or the login was lost is kept and stored."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.support.annotated_atlas import NOW
from tests.support.annotation_page import HEAD, record, wait_until_saved
from tests.support.browsing import open_tab, serving
from tests.support.logins import PASSWORD, add_people

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_d08_what_was_typed_offline_is_kept_and_sent(tab):
    page = tab.page
    tab.go(HEAD)
    page.context.set_offline(True)
    page.locator("[name=notes]").fill("typed offline")
    expect(page.locator("#saved")).to_contain_text("not saved; kept in this browser", timeout=15000)
    tab.errors.clear()  # the browser reports the lost connection
    page.context.set_offline(False)
    wait_until_saved(page)
    assert record(page)["content"]["notes"] == "typed offline"
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft'))") == []
    tab.errors.clear()


def test_d08_a_draft_of_a_closed_tab_is_sent_by_the_next(tab):
    page = tab.page
    tab.go(HEAD)
    page.route("**/annotation", lambda route: route.abort())
    page.locator("[name=notes]").fill("left behind")
    expect(page.locator("#saved")).to_contain_text("not saved", timeout=15000)
    page.goto("about:blank")
    page.unroute("**/annotation")
    tab.errors.clear()
    tab.go(HEAD)
    expect(page.locator("[name=notes]")).to_have_value("left behind", timeout=15000)
    assert record(page)["content"]["notes"] == "left behind"
    tab.errors.clear()


def test_d09_late_replies_do_not_undo_what_came_after(tab):
    page = tab.page
    tab.go(HEAD)
    held = []
    page.route("**/annotation", lambda route: held.append(route))
    page.locator("[name=notes]").fill("first")
    expect(page.locator("#saved")).to_have_text("saving")
    page.wait_for_timeout(700)
    page.locator("[name=notes]").fill("second")
    page.wait_for_timeout(700)
    assert len(held) == 1  # one at a time
    held[0].continue_()
    for _ in range(500):
        if len(held) < 2:
            page.wait_for_timeout(20)
    assert len(held) == 2
    # "saved" is said of all of it: not when only the first has arrived.
    expect(page.locator("#saved")).to_have_text("saving")
    held[1].continue_()
    wait_until_saved(page)
    expect(page.locator("[name=notes]")).to_have_value("second")
    kept = record(page)
    assert (kept["content"]["notes"], kept["version"]) == ("second", 2)


def test_d07_a_session_that_ends_leads_to_the_login_and_the_draft_survives(chromium, store):
    add_people(store, NOW, ada={})
    with serving(store, team=True) as address:
        tab = open_tab(chromium, address)
        tab.go(f"/login?next={HEAD}")
        sign_in(tab.page)
        expect(tab.page.locator("h1")).to_have_text("L0H0")
        tab.page.context.clear_cookies()
        tab.page.locator("[name=notes]").fill("typed after the end")
        tab.page.wait_for_url(re.compile(r"/login\?next="), timeout=15000)
        sign_in(tab.page)
        expect(tab.page.locator("[name=notes]")).to_have_value("typed after the end", timeout=15000)
        tab.page.context.close()


def sign_in(page):
    page.locator("[name=name]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def test_a_row_that_opens_keeps_a_label_that_is_not_saved_yet(tab):
    page = tab.page
    tab.go(HEAD)
    row = page.locator("article.feature-entry").nth(3)
    row.focus()
    page.route("**/annotation", lambda route: time.sleep(0.5) or route.continue_())
    page.keyboard.press("3")
    row.locator("a.open-link").click()
    expect(row.locator("ol.examples")).to_be_visible()
    expect(row.locator("select")).to_have_value("3")
    wait_until_saved(page)
    assert record(page)["content"]["labels"][3]["group"] == "duplicate token"
