"""The form of a head without keys: its menus, and without scripts."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.annotation_page import HEAD, record, wait_until_saved
from tests.support.browsing import open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_without_scripts_a_head_is_annotated_and_submitted(chromium, address):
    tab = open_tab(chromium, address, java_script_enabled=False)
    tab.go(HEAD)
    tab.page.locator('input[name^="label:"]').first.fill("2")
    tab.page.locator("[name=new_group]").fill("odd ends")
    tab.page.get_by_role("button", name="add").click()
    expect(tab.page.locator('[name="group_name"]').nth(1)).to_have_value("odd ends")
    tab.page.get_by_role("button", name="Submit and next").click()
    expect(tab.page.locator("h1")).to_have_text("L0H1")
    assert tab.errors == []
    tab.page.context.close()


def test_the_field_of_a_row_is_a_menu_of_all_groups(tab):
    tab.go(HEAD)
    menus = tab.page.locator(".group-field select")
    expect(menus).to_have_count(10)
    expect(tab.page.locator(".group-field input")).to_have_count(0)
    expect(menus.first).to_have_accessible_name(re.compile(r"^Group of F\d+$"))
    menus.first.select_option(label="previous token")
    wait_until_saved(tab.page)
    assert record(tab.page)["content"]["labels"][0]["group"] == "previous token"


ONE_LINE = """() => [...document.querySelectorAll(".group-list b")].map((count) => {
  count.textContent = "20";
  const range = document.createRange();
  range.selectNodeContents(count);
  return range.getClientRects().length;
})"""


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_count_of_a_group_of_all_features_stands_on_one_line(tab, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.go(HEAD)
    lines = tab.page.evaluate(ONE_LINE)
    assert len(lines) > 1
    assert set(lines) == {1}
