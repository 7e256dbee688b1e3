"""What becomes of labels: heads with open features in the tallies, a citation of an experiment, the page to publish."""

import re

import pytest
from playwright.sync_api import expect

from app.domain.annotations.head_types import HEAD_TYPE_NAMES
from app.store.database.engine import open_store
from tests.support.annotation_page import HEAD, NEXT, content, press, record, wait_until_stored
from tests.support.experiment_results import store_experiments

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MONOSEMANTIC = HEAD_TYPE_NAMES["monosemantic"]


def submit_two_heads(tab):
    """One of ten labels in one group; one of a single label, which is asked about once before it is submitted."""
    tab.go(HEAD)
    page = tab.page
    press(page, *"1" * 10, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    press(page, "2")
    expect(page.locator("#type b")).to_have_text("so far one group, 9 open")
    press(page, "Control+Enter")
    expect(page.locator("#asks")).to_contain_text("9 of 10 features are open")
    assert (record(page, NEXT) or {}).get("status") != "submitted"
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H2")
    return page


def test_a_head_with_open_features_has_no_type_and_every_count_says_so(tab):
    page = submit_two_heads(tab)
    for path in ("/tiny/layers", "/tiny/annotations/publish", "/tiny?colour=type"):
        tab.go(path)
        expect(page.get_by_text("L0H1 (9 of 10 features open)").first).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("L0H0 (")
    typed = page.locator(f'.grid a.cell[aria-label*="{MONOSEMANTIC}"]')
    expect(typed).to_have_count(1)
    expect(typed).to_have_attribute("aria-label", re.compile("^L0H0"))


def test_an_experiment_is_cited_from_its_own_page(tab, store):
    engine = open_store(store)
    ids = store_experiments(engine)
    engine.dispose()
    tab.go(f"/tiny/experiments/{ids['head-ablation']}")
    page = tab.page
    page.get_by_label("Cite it in your record of").fill("L0H0")
    press(page, "Enter")
    expect(page.locator("#cite ~ p a, #cite + p a").first).to_have_text("L0H0")
    cited = content(page)["evidence"]
    assert [(link["kind"], link["target"]) for link in cited] == [("experiment", ids["head-ablation"])]


def test_what_is_published_is_a_row_a_head_in_words_without_drafts(tab):
    page = submit_two_heads(tab)
    press(page, "1")  # a draft
    wait_until_stored(page)
    tab.go("/tiny/annotations/publish")
    rows = page.locator(".publication-table tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("L0H0")
    expect(rows.first).to_contain_text(MONOSEMANTIC)
    expect(rows.first).to_contain_text("induction")
    expect(rows.first.locator(".entry-features li")).to_have_count(10)
    expect(rows.first.locator(".example-text").first).not_to_be_empty()
    expect(page.locator("main")).not_to_contain_text("{")
    for name in ("XLSX", "CSV", "Markdown", "LaTeX"):
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_the_first_heading_stands_apart_from_what_is_above_it_with_one_annotator(tab):
    page = submit_two_heads(tab)
    tab.go("/tiny/annotations/publish")
    expect(page.get_by_role("group", name="Labels of")).to_have_count(0)
    top, heading = (page.locator(place).bounding_box() for place in (".sheet-top", "#types"))
    assert heading["y"] - (top["y"] + top["height"]) >= 16
