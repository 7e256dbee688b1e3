"""By keys alone: the examples of a head without features are grouped, its type is chosen, and it is submitted."""

import shutil

import pytest
from playwright.sync_api import expect

from app.store.database.engine import open_store
from tests.support.annotation_page import content, labels, press, record, wait_until_saved
from tests.support.run_data import RunShape, make_run, publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGE = "/tiny/heads/L1H1"


@pytest.fixture
def store(sqlite_template, tmp_path):
    path = shutil.copyfile(sqlite_template, tmp_path / "store.sqlite")
    engine = open_store(path)
    publish(engine, make_run("tiny", 1, RunShape(n_layers=2, n_heads=3, sae_layers=(0,))))
    engine.dispose()
    return str(path)


def test_examples_are_grouped_and_the_type_is_chosen_by_keys(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    refs = page.locator(".grouped-example").evaluate_all("rows => rows.map((row) => row.id)")
    assert len(refs) == 10
    press(page, "g", *"commas", "Enter", "g", *"names", "Enter", *"11111112")
    expect(page.locator("#type b")).to_have_text("no type yet; groups so far: 2")
    expect(page.locator("#grouped")).to_have_text("10 of 10 grouped")
    press(page, "c", *"a comma", "Enter")
    wait_until_saved(page)
    assert labels(page, PAGE) == ["commas", "names", *["commas"] * 7, "names"]
    [cited] = content(page, PAGE)["evidence"]
    assert (cited["target"], cited["note"]) == (refs[9], "a comma")
    press(page, "Control+Enter")
    expect(page.locator("#asks")).to_contain_text("No type is chosen")
    press(page, "t")
    expect(page.locator("#asks")).to_contain_text("b plausibly bisemantic")
    press(page, "b")
    expect(page.locator("#type b")).to_have_text("plausibly bisemantic")
    press(page, "Control+Enter")
    expect(page.locator("h1")).not_to_have_text("L1H1")
    stored = record(page, PAGE)
    assert (stored["status"], stored["head_type"]) == ("submitted", "bisemantic")
    assert stored["content"]["override_reason"] == "groups of its examples"


def test_labels_stay_while_other_examples_are_looked_at(tab):
    page = tab.page
    tab.go(PAGE)
    page.wait_for_selector("#groups.numbered")
    press(page, "1", "2", "-")
    page.locator(".groups-of-attention a").nth(2).click()
    page.wait_for_url("**group=2**")
    page.wait_for_selector("#groups.numbered")
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    press(page, "3")  # an example of the interval: stored, and not counted
    wait_until_saved(page)
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    of_page = content(page, PAGE)["labels"]
    assert [each["unclear"] for each in of_page][:3] == [False, False, True]
    assert [bool(each["group"]) for each in of_page] == [True, True, *[False] * 8, True]
    tab.go(PAGE)
    press(page, "j", "j", "0")
    expect(page.locator("#grouped")).to_have_text("2 of 10 grouped")
    wait_until_saved(page)
    assert len(content(page, PAGE)["labels"]) == 11
