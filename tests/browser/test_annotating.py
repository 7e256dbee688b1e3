"""Annotating in a real browser: by keyboard alone, saved by itself, through lost connections and rivals."""

import itertools
import re
import shutil
import threading
import time
from collections import Counter

import pytest
import uvicorn
from playwright.sync_api import expect

from app.domain.annotations.head_types import HEAD_TYPES
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.rollups.rollup import agree
from app.settings import Settings
from app.store.annotators import get_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session
from app.web.factory import create_app
from tests.support.annotated_atlas import NOW
from tests.support.browsing import open_tab
from tests.support.logins import PASSWORD, add_people
from tests.support.rollups import roll_up
from tests.support.run_data import Shape, make_run, publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HEAD = "/tiny/heads/L0H0"


class Server:
    """A server of its own on a free port, with the small atlas of the tests."""

    def __init__(self, store, **settings):
        self.store = str(store)
        app = create_app(Settings(store=self.store, **settings))
        self.server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None)
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        [listener] = self.server.servers[0].sockets
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def store(sqlite_template, tmp_path):
    path = shutil.copyfile(sqlite_template, tmp_path / "store.sqlite")
    engine = open_store(path)
    publish(engine, make_run("tiny", 1, Shape(n_layers=2, n_heads=3, sae_layers=(0, 1))))
    engine.dispose()
    return str(path)


@pytest.fixture
def local(store):
    server = Server(store)
    yield server
    server.stop()


@pytest.fixture
def tab(chromium, local):
    visit = open_tab(chromium, local.base, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []


def saved(page):
    expect(page.locator("#saved")).to_have_text(re.compile(r"^saved \d\d:\d\d:\d\d$"), timeout=15000)


def record(page, path=HEAD):
    return page.request.get(f"{page.url.split('/tiny')[0]}{path}/annotation.json").json()["record"]


class Keyboard:
    """Counts every key that goes down, Control included."""

    def __init__(self, page):
        self.page, self.count = page, 0

    def press(self, *keys):
        for key in keys:
            self.count += 1 + key.count("+")
            self.page.keyboard.press(key)


def test_a_head_with_ten_obvious_features_takes_at_most_fifteen_keystrokes(tab):
    tab.go(HEAD)
    keyboard = Keyboard(tab.page)
    keyboard.press(*["1"] * 10, "r", "i", "]")
    expect(tab.page.locator("#type b")).to_have_text("plausibly monosemantic")
    keyboard.press("Control+Enter")
    expect(tab.page.locator("h1")).to_have_text("L0H1")
    assert keyboard.count <= 15
    kept = record(tab.page)
    assert (kept["status"], kept["head_type"]) == ("submitted", "monosemantic")
    assert (kept["content"]["roles"], kept["content"]["confidence"]) == (["induction"], 1)


# What is pressed for the ten features of each head: 0-9 groups in their order, x unclear.
PLANS = {
    "L0H0": "1111111111",
    "L0H1": "1111111122",
    "L0H2": "1111122222",
    "L1H0": "1122334455",
    "L1H1": "1111111112",
    "L1H2": "1231231231",
}


def annotate_all(tab, plans):
    tab.go("/tiny/next")
    seen = []
    for _ in plans:
        head = tab.page.locator("h1").inner_text()
        seen.append(head)
        tab.page.wait_for_load_state()
        # The keys of this head's own list of groups, whatever it offers first.
        for key in plans[head]:
            tab.page.keyboard.press(key)
        tab.page.keyboard.press("Control+Enter")
        if len(seen) < len(plans):
            expect(tab.page.locator("h1")).not_to_have_text(head)
        else:
            tab.page.wait_for_url("**/tiny")
    assert seen == list(plans)


def type_by_hand(plan):
    """The rule of the guide, for plans without unclear features."""
    sizes = sorted(Counter(plan).values(), reverse=True)
    if sizes[0] == 10:
        return "monosemantic"
    if sizes[0] >= 8:
        return "minor_exceptions"
    return "bisemantic" if len(sizes) == 2 else "polysemantic"


def test_two_annotators_do_all_heads_by_keyboard_and_the_tallies_are_those_counted_by_hand(chromium, store):
    add_people(store, NOW, ada={}, ben={"blind": True})
    server = Server(store, team=True)
    heads = list(PLANS)
    turned = dict(zip(heads, [*list(PLANS.values())[1:], PLANS["L0H0"]], strict=True))
    try:
        for name, plans in (("ada", PLANS), ("ben", turned)):
            tab = open_tab(chromium, server.base, viewport={"width": 1440, "height": 1000})
            tab.go("/tiny/next")
            tab.page.keyboard.press("Tab")
            tab.page.locator("[name=name]").focus()
            tab.page.keyboard.type(name)
            tab.page.keyboard.press("Tab")
            tab.page.keyboard.type(PASSWORD)
            tab.page.keyboard.press("Enter")
            expect(tab.page.locator("h1")).to_have_text("L0H0")
            if name == "ben":
                assert "ada" not in tab.page.content()
                assert not tab.page.locator(".suggestion").count()
            annotate_all(tab, plans)
            assert tab.errors == []
            tab.page.context.close()
    finally:
        server.stop()
    engine = open_store(store)
    with read_session(engine) as session:
        run = get_live_run(session, "tiny")
        for name, plans in (("ada", PLANS), ("ben", turned)):
            viewer = Viewer.of(get_annotator(session, name))
            found = roll_up(AtlasContext(session, run, viewer), name)
            by_hand = Counter(map(type_by_hand, plans.values()))
            assert found.n_submitted == len(PLANS)
            counted = {row.head_type: row.count for row in found.tally.rows}
            assert counted == {kind: by_hand[kind] for kind in HEAD_TYPES}
            assert all(row.fraction == row.count / len(PLANS) for row in found.tally.rows)
        agreement = agree(AtlasContext(session, run, Viewer.of(get_annotator(session, "ben"))))
        assert agreement.annotators == ("ada", "ben")
    engine.dispose()


def test_the_type_at_once_is_the_type_of_the_rule(tab):
    """The page's own rule against the server's, over many labellings."""
    from app.domain.annotations.head_types import HEAD_TYPE_NAMES, Mark, classify

    tab.go(HEAD)
    labels = {"": Mark.UNLABELLED, "unclear": Mark.UNCLEAR, "1": "a", "2": "b", "3": "c"}
    sizes = [s for s in itertools.product(range(11), repeat=5) if sum(s) == 10][::23]
    assert len(sizes) > 30
    for counts in sizes:
        values = [value for value, n in zip(labels, counts, strict=True) for _ in range(n)]
        tab.page.evaluate(
            """values => {
                document.querySelectorAll('select[name^="label:"]').forEach((select, i) => (select.value = values[i]));
                document.querySelector("[name=surprising]").dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            values,
        )
        by_rule = classify([labels[value] for value in values], 10)
        name = HEAD_TYPE_NAMES[by_rule.head_type] if by_rule.head_type else "no type yet"
        if by_rule.head_type and by_rule.n_unlabelled:  # no type is said before there is one
            n = len(by_rule.groups)
            name = f"so far {'one group' if n == 1 else f'{n} groups'}, {by_rule.n_unlabelled} open"
        assert tab.page.locator("#type b").inner_text() == name, values
    saved(tab.page)


def test_keys_assign_clear_add_accept_and_undo_across_reloads(tab):
    tab.go(HEAD)
    page = tab.page
    page.keyboard.press("1")
    saved(page)
    page.keyboard.press("g")
    page.keyboard.type("dates and years")
    page.keyboard.press("Enter")
    saved(page)
    groups = [group["name"] for group in record(page)["content"]["groups"]]
    assert groups == ["induction", "dates and years"]
    assert [label["group"] for label in record(page)["content"]["labels"]][:3] == [*groups, None]
    page.reload()
    page.keyboard.press("u")
    expect(page.locator("#saved")).to_have_text("undo: done")
    assert [group["name"] for group in record(page)["content"]["groups"]] == ["induction"]
    page.keyboard.press("U")
    expect(page.locator("#saved")).to_have_text("redo: done")
    assert [group["name"] for group in record(page)["content"]["groups"]] == groups
    page.locator("article.feature-entry").first.focus()
    page.keyboard.press("0")
    saved(page)
    assert record(page)["content"]["labels"][0]["group"] is None
    row = page.locator("article.feature-entry:has(.suggestion)").first
    name = row.get_attribute("id")
    row.focus()
    page.keyboard.press("y")
    saved(page)
    label = next(label for label in record(page)["content"]["labels"] if label["feature"] == name)
    assert label["suggested"]
    page.keyboard.press("c")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    page.keyboard.type("s1")  # letters are no keys while one types
    page.keyboard.press("Enter")
    saved(page)
    assert record(page)["content"]["evidence"][0]["note"] == "s1"
    page.keyboard.press("m")
    page.keyboard.type("2 jobs [r]")
    page.keyboard.press("Escape")
    saved(page)
    assert record(page)["content"]["notes"] == "2 jobs [r]"


def test_single_keys_can_be_switched_off(tab):
    tab.go(HEAD)
    tab.page.keyboard.press("?")
    tab.page.locator("#single-keys").uncheck()
    tab.page.keyboard.press("Escape")
    tab.page.keyboard.press("1")
    expect(tab.page.locator("#grouped")).to_have_text("0 of 10 grouped")
    tab.page.reload()
    tab.page.keyboard.press("1")
    expect(tab.page.locator("#grouped")).to_have_text("0 of 10 grouped")


def test_d08_what_was_typed_offline_is_kept_and_sent(tab):
    page = tab.page
    tab.go(HEAD)
    page.context.set_offline(True)
    page.locator("[name=notes]").fill("typed offline")
    expect(page.locator("#saved")).to_contain_text("not saved; kept in this browser", timeout=15000)
    tab.errors.clear()  # the browser reports the lost connection
    page.context.set_offline(False)
    saved(page)
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
    saved(page)
    expect(page.locator("[name=notes]")).to_have_value("second")
    kept = record(page)
    assert (kept["content"]["notes"], kept["version"]) == ("second", 2)


def test_d02_two_tabs_conflict_and_merge(tab, chromium, local):
    other = open_tab(chromium, local.base)
    for visit in (tab, other):
        visit.go(HEAD)
    other.page.locator("[name=notes]").fill("of the other tab")
    saved(other.page)
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
    saved(page)
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


def test_d07_a_session_that_ends_leads_to_the_login_and_the_draft_survives(chromium, store):
    add_people(store, NOW, ada={})
    server = Server(store, team=True)
    try:
        tab = open_tab(chromium, server.base)
        tab.go(f"/login?next={HEAD}")
        sign_in(tab.page)
        expect(tab.page.locator("h1")).to_have_text("L0H0")
        tab.page.context.clear_cookies()
        tab.page.locator("[name=notes]").fill("typed after the end")
        tab.page.wait_for_url(re.compile(r"/login\?next="), timeout=15000)
        sign_in(tab.page)
        expect(tab.page.locator("[name=notes]")).to_have_value("typed after the end", timeout=15000)
        tab.page.context.close()
    finally:
        server.stop()


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
    saved(page)
    assert record(page)["content"]["labels"][3]["group"] == "duplicate token"


def test_without_scripts_a_head_is_annotated_and_submitted(chromium, local):
    tab = open_tab(chromium, local.base, java_script_enabled=False)
    tab.go(HEAD)
    tab.page.locator('input[name^="label:"]').first.fill("2")
    tab.page.locator("[name=new_group]").fill("odd ends")
    tab.page.get_by_role("button", name="add").click()
    expect(tab.page.locator('[name="group_name"]').nth(1)).to_have_value("odd ends")
    tab.page.get_by_role("button", name="Submit and next").click()
    expect(tab.page.locator("h1")).to_have_text("L0H1")
    assert tab.errors == []
    tab.page.context.close()


def test_the_bar_follows_the_keys_and_the_page_stays_as_it_was_shown(tab):
    tab.go(f"{HEAD}?k=12&align=token")
    bar, aligned = tab.page.locator("#bar"), tab.page.locator("[aria-label=Align] [aria-current]")
    expect(tab.page.locator(".hbar")).to_have_text("press 1–9", use_inner_text=True)
    tab.page.keyboard.press("1")
    saved(tab.page)
    for key in ("1", "2", "-"):
        tab.page.keyboard.press(key)
    pieces = bar.locator("i")
    expect(pieces).to_have_count(2 + 1 + 6)
    expect(pieces.first).to_have_class("family-IN share-4")
    expect(bar).to_have_accessible_name(
        re.compile("2 in “induction”, 1 in “previous token”, 1 unclear, 6 open")
    )
    expect(tab.page.locator(".hbar")).to_have_text("", use_inner_text=True)
    saved(tab.page)
    drawn = bar.inner_html()
    tab.page.locator("article.feature-entry").nth(2).locator("a.open-link").click()
    expect(tab.page.locator("article.feature-entry.open")).to_have_count(2)
    tab.page.keyboard.press("u")
    expect(pieces).to_have_count(1 + 9)
    expect(aligned).to_have_text("token")
    expect(tab.page.locator("article.feature-entry")).to_have_count(12)
    expect(tab.page.locator("article.feature-entry.open")).to_have_count(2)
    tab.page.keyboard.press("U")
    expect(pieces).to_have_count(9)
    assert bar.inner_html() == drawn
    tab.page.locator("[data-does=values]").click()  # still works on the page as it is now
    expect(tab.page.locator("main")).to_have_class(re.compile("values"))
    tab.page.reload()
    assert bar.inner_html() == drawn
    tab.page.keyboard.press("Control+Enter")  # six features are open, so it asks
    expect(tab.page.locator("#asks")).to_contain_text("6 of 10 features are open")
    tab.page.keyboard.press("Control+Enter")
    tab.page.wait_for_url("**/heads/L0H1?k=12&align=token")


def test_the_field_of_a_row_is_a_menu_of_all_groups(tab):
    tab.go(HEAD)
    menus = tab.page.locator(".group-field select")
    expect(menus).to_have_count(10)
    expect(tab.page.locator(".group-field input")).to_have_count(0)
    expect(menus.first).to_have_accessible_name(re.compile(r"^Group of F\d+$"))
    menus.first.select_option(label="previous token")
    saved(tab.page)
    assert record(tab.page)["content"]["labels"][0]["group"] == "previous token"
