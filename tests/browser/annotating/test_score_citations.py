"""A score is cited where it stands on the head's page, by a click or a key, with its number and its run."""

import pytest
from playwright.sync_api import expect

from app.domain.refs import HeadRef
from tests.support.annotation_page import HEAD, RUN, content, press, wait_until_stored

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def target(name):
    [head] = [head for head in RUN.heads if head.ref == HeadRef(0, 0)]
    return f"{name}:{head.scores[name]:.3g}:{RUN.record.fingerprint[:8]}"


def cited(page):
    return [(link["kind"], link["target"], link["note"]) for link in content(page)["evidence"]]


def test_a_score_is_cited_by_a_click_and_by_the_key_where_it_stands(tab):
    tab.go(HEAD)
    page = tab.page
    buttons = page.locator(".scores .cite-example")
    expect(buttons).to_have_count(page.locator(".scores > div").count())
    page.get_by_role("button", name="Cite previous token").click()
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    press(page, *"by position", "Enter")
    page.get_by_role("button", name="Cite induction").focus()
    press(page, "c", *"by content", "Enter")
    wait_until_stored(page)
    meant = [
        ("score", target("previous_token"), "by position"),
        ("score", target("induction"), "by content"),
    ]
    assert cited(page) == meant
    name, value, run = target("induction").split(":")
    expect(page.locator("#evidence")).to_contain_text(f"{name} score {value} of run {run}")
    page.reload()
    expect(page.locator("#evidence")).to_contain_text(f"{name} score {value} of run {run}")
    # Cited again, it is the same citation: the field of its note takes the focus.
    page.get_by_role("button", name="Cite induction").click()
    expect(page.locator("#evidence [name=evidence_note]").nth(1)).to_be_focused()
    assert cited(page) == meant


def test_a_score_is_cited_without_scripts(chromium, address):
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{address}{HEAD}")
    page.get_by_role("button", name="Cite induction").click()
    assert cited(page) == [("score", target("induction"), "")]
    page.context.close()
