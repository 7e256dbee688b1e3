"""A fast hand at a slow connection: what is stored is what was meant, and no key means something else."""

import random
import re
import shutil
import uuid

import pytest
from playwright.sync_api import expect

from app.domain.annotations.records import FeatureLabel, Group, HeadAnnotation
from app.domain.refs import HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW
from tests.support.browsing import open_tab
from tests.support.run_data import Shape, make_run, publish
from tests.support.slow_connections import serving_slowly

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HEAD, NEXT = "/tiny/heads/L0H0", "/tiny/heads/L0H1"
RUN = make_run("tiny", 1, Shape(n_layers=2, n_heads=3, sae_layers=(0, 1)))


@pytest.fixture
def store(sqlite_template, tmp_path):
    path = shutil.copyfile(sqlite_template, tmp_path / "store.sqlite")
    engine = open_store(path)
    publish(engine, RUN)
    engine.dispose()
    return str(path)


@pytest.fixture
def site(store):
    with serving_slowly(store) as (base, connection):
        yield base, connection


@pytest.fixture
def connection(site):
    return site[1]


@pytest.fixture
def tab(chromium, site):
    visit = open_tab(chromium, site[0], viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def stored(page):
    """Waits until nothing is under way, and says so."""
    expect(page.locator("#saved")).to_have_text(
        re.compile(r"(^|, )saved \d\d:\d\d:\d\d$|done$"), timeout=20000
    )


def record(page, path=HEAD):
    answer = page.request.get(f"{page.url.split('/tiny')[0]}{path}/annotation.json")
    return answer.json()["record"]


def content(page, path=HEAD):
    return record(page, path)["content"]


def labels(page, path=HEAD):
    return [each["group"] for each in content(page, path)["labels"]]


def names_on_keys(page):
    return {
        item.locator("kbd").inner_text(): item.locator("[name=group_name]").input_value()
        for item in page.locator("#groups li").all()
        if item.locator("kbd").inner_text()
    }


def label_of(store, head, names):
    """A record of the local annotator, whose first features are in groups of these names."""
    engine = open_store(store)
    features = RUN.rankings[head, "decoder_weight"].features
    groups = tuple(Group(name) for name in dict.fromkeys(names))
    marks = tuple(FeatureLabel(each.ref, name) for each, name in zip(features, names, strict=False))
    with write_session(engine) as session:
        me = Viewer.of(ensure_annotator(session, "me", NOW, "admin"))
        context = AtlasContext(session, get_live_run(session, "tiny"), me)
        save(context, Save(head, HeadAnnotation(groups, marks), 0, str(uuid.uuid4()), "submitted"), NOW)
    engine.dispose()


NINE = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def test_a_new_group_has_a_key_at_once_though_nine_are_offered_and_keeps_it(store, tab):
    label_of(store, HeadRef(1, 2), NINE)
    tab.go(HEAD)
    page = tab.page
    assert list(names_on_keys(page).values()) == NINE
    press(page, "g", *"dates", "Enter")
    press(page, "g", *"towns", "Enter")
    assert names_on_keys(page)["1"] == "dates"
    assert names_on_keys(page)["2"] == "towns"
    press(page, "2", "1", "3")
    stored(page)
    meant = ["dates", "towns", "towns", "dates", "three"]
    assert labels(page)[:5] == meant
    page.reload()
    keys = names_on_keys(page)
    assert [keys[key] for key in "123"] == ["dates", "towns", "three"]
    press(page, "1", "2", "3")
    stored(page)
    assert labels(page)[:8] == [*meant, "dates", "towns", "three"]


def test_a_key_that_was_pressed_out_of_order_stays_the_key_of_its_group(tab):
    tab.go(HEAD)
    page = tab.page
    before = names_on_keys(page)
    press(page, "5", "2", "5")
    stored(page)
    page.reload()
    assert names_on_keys(page) == before
    press(page, "5", "2", "1")
    stored(page)
    numbers = (5, 2, 5, 5, 2, 1)
    assert labels(page)[:6] == [before[str(n)] for n in numbers]


def test_groups_of_the_last_head_have_their_keys_on_the_next(tab):
    tab.go(HEAD)
    page = tab.page
    for name in ("dates", "towns"):
        press(page, "g", *name, "Enter")
    press(page, *"12121212")
    stored(page)
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    press(page, "2", "1")
    stored(page)
    assert labels(page, NEXT)[:2] == ["towns", "dates"]


def test_a_typed_beginning_is_the_group_that_there_is_and_a_new_one_is_said_to_be_new(tab):
    tab.go(HEAD)
    page = tab.page
    says = page.locator("#completes")
    press(page, "g", *"dup")
    expect(says).to_have_text("into “duplicate token”, key 3")
    press(page, "Enter", "g", *"dupes of a kind")
    expect(says).to_have_text("a new group “dupes of a kind”, as key 1")
    press(page, "Enter", "g", *"DUP", "Enter", "g", *"dup", "Shift+Enter")
    stored(page)
    assert labels(page)[:4] == ["duplicate token", "dupes of a kind", "dupes of a kind", "dup"]


def test_letters_right_after_c_are_the_note(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    page.locator("article.feature-entry").nth(1).focus()
    press(page, "c", *"snl1h")
    expect(page.locator("#evidence [name=evidence_note]")).to_have_value("snl1h")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    stored(page)
    page.wait_for_timeout(600)
    assert page.url.endswith(HEAD)
    assert [link["note"] for link in content(page)["evidence"]] == ["snl1h"]
    assert set(labels(page)) == {None}
    assert record(page, NEXT) is None


def test_keys_after_submitting_touch_neither_head(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    press(page, *"1" * 10, "Control+Enter", *"2r]sc", "Control+Enter", "n")
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    page.wait_for_timeout(1500)
    kept = record(page)
    assert (kept["status"], set(labels(page)), kept["content"]["roles"]) == ("submitted", {"induction"}, [])
    assert record(page, NEXT) is None
    expect(page.locator("h1")).to_have_text("L0H1")


def test_what_conflicts_is_not_submitted(tab, chromium, site, connection):
    page = tab.page
    tab.go(HEAD)
    other = open_tab(chromium, site[0])
    other.go(HEAD)
    other.page.locator("[name=notes]").fill("theirs")
    stored(other.page)
    other.page.context.close()
    connection.delay_s = 0.3
    page.locator("[name=notes]").fill("mine")
    press(page, "Escape", *"1" * 10, "Control+Enter", *"123")
    expect(page.locator(".warning")).to_be_visible(timeout=15000)
    page.wait_for_timeout(1500)
    tab.errors.clear()  # the browser reports the status 409
    assert (record(page)["status"], content(page)["notes"]) == ("draft", "theirs")
    expect(page.locator("[name=notes]")).to_have_value("mine")
    expect(page.locator("#grouped")).to_have_text("10 of 10 grouped")
    page.get_by_role("button", name="Save the merge").click()
    expect(page.locator(".warning")).to_have_count(0)
    assert (content(page)["notes"], set(labels(page))) == ("mine", {"induction"})


def test_keys_before_the_script_is_there_wait_for_it(tab):
    page = tab.page
    held = []
    page.route("**/static/js/annotate.js*", lambda route: held.append(route))
    page.goto(f"{tab.base}{HEAD}", wait_until="commit")
    expect(page.locator("h1")).to_have_text("L0H0")
    press(page, "2", "1", "l", "Control+Enter", "g")
    held[0].continue_()
    expect(page.locator("h1")).to_have_text("L0H1")
    assert labels(page)[:3] == ["previous token", "induction", None]
    assert record(page)["status"] == "draft"


def test_edits_of_any_kind_while_a_save_is_under_way_are_stored(tab, connection):
    tab.go(HEAD)
    page = tab.page
    n = page.locator(".suggestion").count()
    assert n
    connection.delay_s = 0.4
    press(page, "Y", "r", "d", "]", "]", "]")
    page.wait_for_timeout(600)
    press(page, "r", "i", "[")
    stored(page)
    kept = content(page)
    assert sum(label["suggested"] for label in kept["labels"]) == n
    assert (set(kept["roles"]), kept["confidence"]) == ({"duplicate token", "induction"}, 2)


def test_what_is_edited_after_undo_is_made_on_what_undo_gives(tab, connection):
    tab.go(HEAD)
    page = tab.page
    press(page, "1")
    stored(page)
    press(page, "2", "]")
    expect(page.locator("[value=undo]")).to_be_enabled()
    connection.delay_s = 0.5
    press(page, "u", "-", "m", *"why not")
    page.wait_for_timeout(300)
    press(page, *", then")
    expect(page.locator("[name=notes]")).to_be_focused()
    stored(page)
    kept = content(page)
    assert kept["notes"] == "why not, then"
    assert [(each["group"], each["unclear"]) for each in kept["labels"]][:4] == [
        ("induction", False),
        (None, False),
        (None, True),
        (None, False),
    ]
    assert kept["confidence"] is None


def test_what_is_not_stored_is_marked(tab, connection):
    tab.go(HEAD)
    connection.delay_s = 0.5
    press(tab.page, "1")
    first = tab.page.locator("article.feature-entry").first
    expect(first).to_have_class(re.compile("pending"))
    stored(tab.page)
    expect(first).not_to_have_class(re.compile("pending"))


def test_edits_of_a_page_that_is_left_are_stored_by_the_next(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 1.0
    press(page, "1")
    page.wait_for_timeout(700)  # the first save is on its way
    press(page, "2", "3")
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    connection.delay_s = 0.0
    expect(page.locator("h1")).to_be_visible()
    for _ in range(100):
        if not page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length"):
            break
        page.wait_for_timeout(100)
    assert labels(page)[:3] == ["induction", "previous token", "duplicate token"]


def test_the_page_that_back_shows_is_as_the_record_is(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "1", "2")
    stored(page)
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1")
    page.go_back()
    expect(page.locator("h1")).to_have_text("L0H0")
    press(page, "3")
    expect(page.locator("#grouped")).to_have_text("3 of 10 grouped")
    stored(page)
    page.wait_for_timeout(800)
    expect(page.locator(".warning")).to_have_count(0)
    assert labels(page)[:4] == ["induction", "previous token", "duplicate token", None]


def test_back_with_an_edit_on_its_way_shows_it(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.6
    press(page, "1", "2")
    page.locator("a[rel=next]").click()
    expect(page.locator("h1")).to_have_text("L0H1", timeout=15000)
    page.go_back()
    expect(page.locator("h1")).to_have_text("L0H0", timeout=15000)
    press(page, "3")
    stored(page)
    expect(page.locator(".warning")).to_have_count(0)
    assert labels(page)[:4] == ["induction", "previous token", "duplicate token", None]


ROLES = {"i": "induction", "p": "previous token", "d": "duplicate token", "c": "copying"}


def one_edit(choose, page, meant, keys):
    """Makes one edit by keys, and notes what it means."""
    kind = choose.choice(("label", "label", "label", "role", "confidence", "note", "clear"))
    if kind in ("label", "clear"):
        at = choose.randrange(10)
        page.locator("article.feature-entry").nth(at).focus()
        key = "0" if kind == "clear" else choose.choice("1234567-")
        press(page, key)
        meant["labels"][at] = {"0": None, "-": "?"}.get(key, keys.get(key))
    elif kind == "role":
        key = choose.choice("ipdc")
        press(page, "r", key)
        meant["roles"] ^= {ROLES[key]}
    elif kind == "confidence":
        press(page, "]")
        meant["confidence"] = min(5, (meant["confidence"] or 0) + 1)
    else:
        press(page, "m", "x", "Escape")
        meant["notes"] += "x"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_edit_is_lost_whatever_is_lost_on_the_way(tab, connection, seed):
    choose = random.Random(seed)
    tab.go(HEAD)
    page = tab.page
    keys = names_on_keys(page)
    meant = {"labels": [None] * 10, "roles": set(), "confidence": None, "notes": ""}
    connection.delay_s, connection.choose = 0.15, random.Random(seed)
    for _ in range(60):
        one_edit(choose, page, meant, keys)
        page.wait_for_timeout(choose.choice((0, 0, 30, 200, 500)))
        if choose.random() < 0.3:
            page.evaluate("dispatchEvent(new Event('online'))")  # tries again at once
    connection.choose = None
    page.evaluate("dispatchEvent(new Event('online'))")
    stored(page)
    tab.errors.clear()  # the browser reports what was lost
    kept = content(page)
    marks = ["?" if each["unclear"] else each["group"] for each in kept["labels"]]
    assert marks == meant["labels"]
    assert (set(kept["roles"]), kept["confidence"]) == (meant["roles"], meant["confidence"])
    assert kept["notes"] == meant["notes"]


class Keyboard:
    """Counts every key that goes down, Control included."""

    def __init__(self, page):
        self.page, self.count = page, 0

    def press(self, *keys):
        for key in keys:
            self.count += 1 + key.count("+")
            self.page.keyboard.press(key)


def test_a_head_like_the_last_takes_at_most_eighteen_keys(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "g", *"dates", "Enter", "g", *"towns", "Enter", *"11112222")
    stored(page)
    press(page, "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    keyboard = Keyboard(page)
    keyboard.press(*"1122112211", "r", "p", "c", "Control+Enter")
    expect(page.locator("h1")).to_have_text("L0H2")
    assert keyboard.count <= 18
    kept = record(page, NEXT)
    assert (kept["status"], kept["head_type"]) == ("submitted", "bisemantic")
    assert labels(page, NEXT) == [{"1": "dates", "2": "towns"}[key] for key in "1122112211"]
    [claim] = kept["content"]["evidence"]
    assert (kept["content"]["roles"], claim["kind"]) == (["previous token"], "example")


def test_what_is_cited_is_what_was_looked_at(tab):
    tab.go(HEAD)
    page = tab.page
    rows = page.locator("article.feature-entry")
    strongest = [f"{row.get_attribute('id')}:{row.get_attribute('data-strongest')}" for row in rows.all()]
    press(page, "1", "1", "c", *"labelled", "Enter")  # the cursor has gone on to the third
    press(page, "k", "k", "c", *"seen", "Enter")
    stored(page)
    cited = [(link["kind"], link["target"], link["note"]) for link in content(page)["evidence"]]
    assert cited == [("example", strongest[1], "labelled"), ("example", strongest[0], "seen")]


def test_a_note_keeps_the_focus_while_the_page_changes(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.4
    press(page, "1", "c", *"first half")
    stored(page)
    page.locator(".cite-choices button").first.click()  # cites a score
    expect(page.locator("#evidence [name=evidence_note]").nth(1)).to_be_focused()
    press(page, *"of the score")
    stored(page)
    notes = [(link["kind"], link["note"]) for link in content(page)["evidence"]]
    assert notes == [("example", "first half"), ("score", "of the score")]


def test_keys_can_be_bound_to_others_and_enter_alone_can_submit(tab):
    tab.go(HEAD)
    page = tab.page
    press(page, "?")
    page.locator("#enter-submits").check()
    page.locator(".bindings summary").click()
    field = page.locator("[name='key 1']")
    field.fill("r")
    field.blur()
    expect(page.locator(".bindings [role=status]")).to_contain_text("r is the key of")
    expect(field).to_have_value("1")
    field.fill("q")
    field.blur()
    press(page, "Escape")
    page.reload()
    expect(page.locator("#groups li kbd").first).to_have_text("q")
    press(page, "1", *"q" * 10)
    press(page, "Enter")
    expect(page.locator("h1")).to_have_text("L0H1")
    assert record(page)["status"] == "submitted"
    assert set(labels(page)) == {"induction"}


def test_rows_that_open_while_one_types_keep_every_label(tab, connection):
    tab.go(HEAD)
    page = tab.page
    connection.delay_s = 0.2
    press(page, "E", *"123-123-1")
    expect(page.locator("article.feature-entry.open")).to_have_count(10, timeout=15000)
    press(page, "2")
    stored(page)
    kept = content(page)["labels"]
    groups = ["induction", "previous token", "duplicate token", None]
    assert [label["group"] for label in kept] == [*groups, *groups, "induction", "previous token"]
    assert [label["unclear"] for label in kept] == [label["group"] is None for label in kept]
