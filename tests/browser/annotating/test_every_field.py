"""No script drops a declared field: it is saved, shown and undone alone, and put on a page that comes later."""

import pytest
from playwright.sync_api import expect

from app.domain.annotations.fields import field_specs
from app.domain.annotations.records import HeadAnnotation
from tests.support.annotation_page import HEAD, content, press, wait_until_stored
from tests.support.browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SPECS = field_specs(HeadAnnotation)
FIELDS = [name for name, spec in SPECS.items() if spec.kind != "json"]
# The others have several inputs each: how a person changes them.
PARTS = {
    "groups": lambda page: add_group(page, "made here"),
    "labels": lambda page: label_row(page, 1, "2"),
    "evidence": lambda page: label_row(page, 2, "c"),
}
# Chooses what is not chosen yet, as a person would.
CHANGE = """(name) => {
  const control = [...document.querySelectorAll(`#annotation [name=${name}]`)].at(-1);
  if (control.type === "checkbox" || control.type === "radio") return control.click();
  control.value = control.tagName === "SELECT" ? [...control.options].at(-1).value : "typed";
  for (const type of ["input", "change"]) control.dispatchEvent(new Event(type, { bubbles: true }));
}"""
# The state of all inputs of each name.
SHOWN = """(names) => Object.fromEntries(names.map((name) => [name,
  [...document.querySelectorAll(`#annotation [name=${name}]`)].map(
    (control) => (control.type === "checkbox" || control.type === "radio" ? control.checked : control.value))]))"""


def add_group(page, name):
    page.locator("#new-group").fill(name)
    press(page, "Enter")


def label_row(page, at, key):
    row = page.locator("article.feature-entry").nth(at)
    row.focus()
    press(page, key)
    return row.get_attribute("id")


def change(page, name):
    assert SPECS[name].kind != "json" or name in PARTS, f"say in PARTS how a person changes {name}"
    if name in PARTS:
        PARTS[name](page)
    else:
        page.evaluate(CHANGE, name)


def shown(page):
    inputs = page.evaluate(SHOWN, FIELDS)
    missing = [name for name, states in inputs.items() if not states]
    assert not missing, f"the form has no input named {missing}: add it to partials/annotation_panel.html"
    return inputs


def defaults_among(record):
    """The fields of a stored record that say what an empty one says."""
    return [name for name in SPECS if record[name] in (getattr(HeadAnnotation(), name), [])]


def is_save(response):
    return response.request.method == "POST"


def test_a_change_of_any_field_alone_is_saved_and_undone(tab):
    tab.go(HEAD)
    page = tab.page
    label_row(page, 0, "1")  # the first version has none to go back to
    wait_until_stored(page)
    for name in (*(name for name in SPECS if name != "override"), "override"):
        if name == "override":  # which needs a reason
            change(page, "override_reason")
            wait_until_stored(page)
        stored, inputs = content(page), shown(page)
        with page.expect_response(is_save):
            change(page, name)
        wait_until_stored(page)
        assert content(page)[name] != stored[name], name
        if name in FIELDS:
            assert shown(page)[name] != inputs[name], name
        with page.expect_response(is_save):
            page.locator("button[value=undo]").click()
        wait_until_stored(page)
        assert (content(page), shown(page)) == (stored, inputs), name


def test_what_is_changed_while_a_merge_is_on_its_way_is_put_on_it(tab, chromium):
    page, held = tab.page, []
    other = open_tab(chromium, tab.base)
    tab.go(HEAD)
    label_row(page, 0, "1")
    wait_until_stored(page)
    other.go(HEAD)
    theirs = label_row(other.page, 4, "3")
    wait_until_stored(other.page)
    other.page.context.close()
    page.route("**/annotation*", lambda route: route.continue_() if held else held.append(route))
    change(page, "labels")
    for _ in range(500):
        if not held:
            page.wait_for_timeout(20)
    for name in SPECS:
        if name != "labels":
            change(page, name)
    inputs = shown(page)
    held[0].continue_()
    page.unroute("**/annotation*")  # the browser follows no redirect of a request that is intercepted
    expect(page.locator(".warning")).to_be_visible(timeout=15000)
    tab.errors.clear()  # the browser reports the status 409
    assert shown(page) == inputs
    page.get_by_role("button", name="Save the merge").click()
    expect(page.locator(".warning")).to_have_count(0)
    wait_until_stored(page)
    record = content(page)
    assert defaults_among(record) == []
    assert theirs in {each["feature"] for each in record["labels"] if each["group"]}
    page.reload()
    assert shown(page) == inputs
