"""A phone: heads labelled by tapping alone, targets that a thumb hits, and an hour without a connection."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HEAD, NEXT = "/tiny/heads/L0H0", "/tiny/heads/L0H1"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
THUMB = 44  # CSS pixels


@pytest.fixture
def phone(chromium, address):
    visit = open_tab(chromium, address, **PHONE)
    yield visit
    visit.page.context.close()
    assert visit.errors == []


def record(page, base, path=HEAD):
    return page.request.get(f"{base}{path}/annotation.json").json()["record"]


def groups_of(page, base, path=HEAD):
    return [each["group"] for each in record(page, base, path)["content"]["labels"]]


def saved(page):
    expect(page.locator("#saved")).to_have_text(re.compile(r"(^|, )saved \d\d:\d\d:\d\d$"), timeout=15000)


def tap(page, name):
    page.locator("#taps").get_by_role("button", name=name, exact=True).tap()


def test_a_head_is_labelled_wholly_by_tapping(phone):
    page = phone.page
    phone.go(HEAD)
    rows = page.locator("article.feature-entry")
    for name in ["induction"] * 4 + ["copying"] * 4:
        tap(page, name)
    rows.nth(0).locator(".rank").tap()  # a row that is tapped is the next
    expect(page.locator("#taps b")).to_have_text(rows.nth(0).get_attribute("id").removeprefix("L0"))
    saved(page)
    tap(page, "bigram")
    tap(page, "undo")
    expect(page.locator("#saved")).to_have_text("undo: done")
    assert groups_of(page, phone.base)[0] == "induction"
    tap(page, "undo")
    expect(page.locator("#saved")).to_have_text("nothing to undo")
    rows.nth(8).locator(".rank").tap()
    tap(page, "unclear")
    tap(page, "induction")
    tap(page, "cite")
    page.get_by_label("induction", exact=False).and_(page.locator("[name=roles]")).first.locator("..").tap()
    page.locator("[name=confidence][value='4']").locator("..").tap()
    saved(page)
    page.get_by_role("button", name="Submit and next").tap()
    expect(page.locator("h1")).to_have_text("L0H1")
    kept = record(page, phone.base)
    meant = ["induction"] * 4 + ["copying"] * 4 + [None, "induction"]
    assert groups_of(page, phone.base) == meant
    assert kept["content"]["labels"][8]["unclear"]
    assert (kept["status"], kept["content"]["roles"], kept["content"]["confidence"]) == (
        "submitted",
        ["induction"],
        4,
    )
    assert len(kept["content"]["evidence"]) == 1


MEASURED = """
() => {
  const inside = "#annotation :is(a, button, select, textarea, summary, input:not([type=hidden]))";
  const controls = document.querySelectorAll(`${inside}, .group-field :is(button, select), .open-link`);
  const small = [];
  let n = 0;
  for (const control of controls) {
    const target = control.matches("[type=radio], [type=checkbox]") ? control.closest("label") : control;
    const { width, height } = target.getBoundingClientRect();
    if (!target.checkVisibility({ visibilityProperty: true }) || control.closest(".visually-hidden")) continue;
    n++;
    if (width < 44 || height < 44) small.push(`${control.outerHTML.slice(0, 90)} ${width} x ${height}`);
  }
  return [n, small];
}
"""


def test_every_target_of_the_form_is_as_large_as_a_thumb(phone):
    page = phone.page
    phone.go(HEAD)
    tap(page, "induction")
    tap(page, "cite")
    page.locator(".override summary").tap()
    saved(page)
    n, small = page.evaluate(MEASURED)
    assert n > 60
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_nothing_of_an_hour_without_a_connection_is_lost_though_the_tab_is_closed(chromium, address):
    visit = open_tab(chromium, address, **PHONE)
    page = visit.page
    page.clock.install()
    visit.go(HEAD)
    page.context.set_offline(True)
    for minute in range(0, 60, 6):
        tap(page, ("induction", "copying")[minute % 4 // 2])
        page.locator("[name=notes]").fill(f"minute {minute}")
        page.clock.run_for(6 * 60 * 1000)
    expect(page.locator("#saved")).to_contain_text("not saved; kept in this browser")
    page.get_by_role("button", name="Submit and next").tap()
    page.clock.run_for(2000)
    page.close()
    again = page.context.new_page()
    page.context.set_offline(False)
    again.goto(f"{address}{NEXT}")
    for _ in range(200):
        if not again.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length"):
            break
        again.wait_for_timeout(50)
    kept = record(again, address)
    assert groups_of(again, address) == [
        ("induction", "copying")[minute % 4 // 2] for minute in range(0, 60, 6)
    ]
    assert (kept["content"]["notes"], kept["status"]) == ("minute 54", "submitted")
    again.context.close()
