"""Every key of the sheet that `?` opens does what the sheet says. A key without a test here fails the first one."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browsing import Visit, open_tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Key = tuple[str, str]  # the section of the sheet, and the key as it is printed there
Check = Callable[[Visit, Page], None]
TESTED: dict[Key, Check] = {}
# The page of each section, and the sections whose keys its bottom line may name.
PAGES = {
    "atlas": ("/tiny", ("atlas",)),
    "head": ("/tiny/heads/L1H6", ("head", "labels")),
    "feature": ("/tiny/features/L1F3?head=L1H2", ("feature",)),
    "compare": ("/tiny/compare?heads=L1H3,L1H5", ("compare",)),
    "annotations": ("/tiny/annotations", ("annotations",)),
    "search": ("/tiny/search?q=the", ("search",)),
}
NAMES = {"↵": "Enter", "Ctrl+↵": "Control+Enter", "Esc": "Escape"}
NAMES |= {"↑": "ArrowUp", "↓": "ArrowDown", "←": "ArrowLeft", "→": "ArrowRight"}


def key(section: str, *keys: str) -> Callable[[Check], Check]:
    """Registers what tests these keys of the section."""

    def register(check: Check) -> Check:
        for each in keys:
            assert (section, each) not in TESTED, f"{section} {each} is tested twice"
            TESTED[section, each] = check
        return check

    return register


def press(page: Page, *keys: str) -> None:
    for each in keys:
        page.keyboard.press(NAMES.get(each, each))


@pytest.fixture
def tab(chromium: Browser, full_url: str) -> Iterator[Visit]:
    visit = open_tab(chromium, full_url, viewport={"width": 1440, "height": 1000})
    visit.page.set_default_timeout(15_000)
    yield visit
    visit.page.context.close()
    assert visit.errors == []


def printed(line: Locator) -> list[str]:
    """The keys of one entry; keys that are pressed together are one."""
    keys = line.locator("kbd").all_inner_texts()
    return ["+".join(keys)] if keys[:1] == ["Ctrl"] else keys


def sheet(page: Page) -> set[Key]:
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    found: set[Key] = set()
    for section in page.locator("#keys dl > div").all():
        name = section.locator("dt").inner_text()
        found |= {(name, each) for line in section.locator("dd").all() for each in printed(line)}
    page.keyboard.press("Escape")
    return found


@pytest.mark.parametrize("section", PAGES)
def test_every_key_of_the_sheet_and_the_bottom_line_is_tested(tab: Visit, section: str) -> None:
    path, sections = PAGES[section]
    tab.go(path)
    listed = sheet(tab.page)
    assert listed - TESTED.keys() == set(), "keys without a test"
    assert TESTED.keys() - listed == set(), "tests of keys that the sheet does not name"
    assert {name for name, _ in listed} == {*PAGES, "labels", "anywhere"}
    line = {each for each in tab.page.locator(".status .keys kbd").all_inner_texts() if each}
    assert line
    assert line <= {each for name, each in listed if name in (*sections, "anywhere")}


def mono(page: Page) -> Locator:
    return page.locator("h1")


@key("anywhere", "/")
def search_takes_the_focus(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H3")
    press(page, "/")
    expect(page.locator("input[type=search]")).to_be_focused()


@key("anywhere", "?")
def the_sheet_opens_and_closes(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    for visible in (True, False):
        press(page, "?")
        expect(page.locator("#keys")).to_be_visible(visible=visible)


@key("anywhere", "T")
def the_theme_turns(tab: Visit, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    tab.go("/tiny")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    press(page, "T")
    assert page.evaluate(ground) != before


@key("anywhere", "b")
def back(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H3")
    tab.go("/tiny/heads/L1H4")
    press(page, "b")
    expect(mono(page)).to_have_text("L1H3")


@key("anywhere", "n")
def the_next_head_to_annotate(tab: Visit, page: Page) -> None:
    tab.go("/wide")
    target = page.locator("[data-key=n]").get_attribute("href")
    press(page, "n")
    page.wait_for_url(f"**{target}")
    following = page.locator("[data-key=n]").get_attribute("href")
    assert following != target
    press(page, "n")
    page.wait_for_url(f"**{following}*")


@key("anywhere", "Esc")
def a_field_and_the_sheet_are_left(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "/", "Esc")
    expect(page.locator("input[type=search]")).not_to_be_focused()
    press(page, "?", "Esc")
    expect(page.locator("#keys")).to_be_hidden()


def cell(page: Page, head: str) -> Locator:
    return page.locator(f"a.cell[href$='/{head}']")


@key("atlas", "↑", "↓", "←", "→")
def arrows_move_in_the_grid(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓")
    expect(cell(page, "L0H0")).to_be_focused()
    for each, head in (("↓", "L1H0"), ("→", "L1H1"), ("↑", "L0H1"), ("←", "L0H0")):
        press(page, each)
        expect(cell(page, head)).to_be_focused()


@key("atlas", "↵")
def the_cell_opens(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓", "→", "↵")
    expect(mono(page)).to_have_text("L0H1")


@key("atlas", "1", "9")
def the_colour_is_chosen(tab: Visit, page: Page) -> None:
    tab.go("/tiny?colour=progress")
    for number in "123456789":
        press(page, number)
        expect(page.locator("[data-key][aria-current] kbd").first).to_have_text(number)
        page.wait_for_load_state()


@key("atlas", "s")
def heads_are_sorted_in_their_layer(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "s")
    expect(page.locator("thead th").first).to_have_text("1st")


@key("atlas", "c")
def the_focused_head_is_compared(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "↓", "c")
    page.wait_for_url("**/tiny/compare?heads=L0H0")


@key("atlas", "x")
def the_focused_head_is_ablated(tab: Visit, page: Page) -> None:
    tab.go("/tiny")
    press(page, "x")  # no head is meant yet
    press(page, "↓", "→")
    expect(page.locator("#card footer")).to_contain_text("ablate")
    press(page, "x")
    page.wait_for_url("**/tiny/experiments?ablate=L0H1#ablate")
    expect(page.locator("#ablate pre")).to_have_text(re.compile("experiment head-ablation .*--layer 0"))


def rows(page: Page) -> Locator:
    return page.locator("article.feature-entry")


@key("head", "j", "k")
def features_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "j", "j")
    expect(rows(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(rows(page).nth(0)).to_be_focused()


@key("head", "e")
def a_feature_opens_and_closes(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "j", "j", "e")
    details = rows(page).nth(1).locator("details")
    expect(details).to_have_attribute("open", "")
    press(page, "e")
    expect(details).not_to_have_attribute("open", "")


@key("head", "E")
def all_features_open_and_close(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    opened = page.locator("article.feature-entry details[open]")
    press(page, "E")
    expect(opened).to_have_count(10)
    press(page, "E")
    expect(opened).to_have_count(0)


@key("head", "h", "l")
def the_heads_beside_it(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "l")
    expect(mono(page)).to_have_text("L1H7")
    page.wait_for_load_state()
    press(page, "h")
    expect(mono(page)).to_have_text("L1H6")


@key("head", "f")
def the_other_ranking(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "f")
    expect(page.locator(".features-bar .segmented a[aria-current]").first).to_have_text("FVE")


def align(tab: Visit, page: Page, path: str) -> None:
    tab.go(path)
    sources = page.locator(".source-strip > b > :last-child.peak")
    expect(sources).to_have_count(0)
    press(page, "a")
    page.wait_for_url("**align=token**")
    expect(sources.first).to_be_visible()


@key("head", "a")
def a_head_is_aligned_by_token(tab: Visit, page: Page) -> None:
    align(tab, page, "/tiny/heads/L1H6")


def values(tab: Visit, page: Page, path: str) -> None:
    tab.go(path)
    shown = "getComputedStyle(document.querySelector('.peak[data-v]'), '::after').content"
    assert page.evaluate(shown) in ("none", "normal")
    press(page, "v")
    assert page.evaluate(shown) not in ("none", "normal")


@key("head", "v")
def values_of_a_head(tab: Visit, page: Page) -> None:
    values(tab, page, "/tiny/heads/L1H6")


@key("head", "x")
def the_head_is_compared(tab: Visit, page: Page) -> None:
    tab.go("/tiny/heads/L1H6")
    press(page, "x")
    page.wait_for_url("**/tiny/compare?heads=L1H6")


# Each check of a label has a head of its own.
def label(tab: Visit, page: Page, head: int) -> None:
    tab.go(f"/wide/heads/L1H{head}")
    expect(page.locator("#saved")).to_have_text("nothing saved yet")


def saved(page: Page) -> dict[str, object]:
    expect(page.locator("#saved")).to_have_text(re.compile(r"^(saved|undo|redo|accept)"))
    return content(page)


def content(page: Page) -> dict[str, object]:
    record = page.request.get(f"{page.url.split('?')[0]}/annotation.json").json()["record"]
    return record["content"]


def labels(page: Page) -> list[tuple[object, bool]]:
    found = saved(page)["labels"]
    assert isinstance(found, list)
    return [(each["group"], each["unclear"]) for each in found]


@key("labels", "1", "9")
def features_are_put_into_groups(tab: Visit, page: Page) -> None:
    label(tab, page, 10)
    assert page.locator("#groups li").count() == 7
    for name in ("dates", "names"):  # they get the numbers 1 and 2, and what was offered there 8 and 9
        press(page, "g")
        page.keyboard.type(name)
        press(page, "↵")
    press(page, "1", "9", "8")
    assert [group for group, _ in labels(page)][:6] == [
        "dates",
        "names",
        "dates",
        "previous token",
        "induction",
        None,
    ]


@key("labels", "0", "-")
def a_label_is_cleared_or_unclear(tab: Visit, page: Page) -> None:
    label(tab, page, 11)
    press(page, "1", "-")
    assert [unclear for _, unclear in labels(page)][:3] == [False, True, False]
    rows(page).first.focus()
    press(page, "0")
    expect(page.locator("#grouped")).to_have_text("1 of 10 grouped")
    expect(page.locator("#saved")).to_have_text(re.compile("^saved"))
    assert labels(page)[0] == (None, False)


@key("labels", "g")
def a_new_group(tab: Visit, page: Page) -> None:
    label(tab, page, 12)
    press(page, "g")
    page.keyboard.type("dates")
    press(page, "↵")
    assert labels(page)[0] == ("dates", False)


@key("labels", "y")
def a_suggestion_is_accepted(tab: Visit, page: Page) -> None:
    label(tab, page, 13)
    n = page.locator(".suggestion").count()
    page.locator("article.feature-entry:has(.suggestion)").first.focus()
    press(page, "y")
    expect(page.locator(".suggestion")).to_have_count(n - 1)
    saved(page)
    found = content(page)["labels"]
    assert isinstance(found, list)
    assert [each["suggested"] for each in found].count(True) == 1


@key("labels", "Y")
def all_suggestions_are_accepted(tab: Visit, page: Page) -> None:
    label(tab, page, 14)
    n = page.locator(".suggestion").count()
    assert n > 1
    press(page, "Y")
    expect(page.locator(".suggestion")).to_have_count(0)
    expect(page.locator("#saved")).to_have_text(re.compile("^saved"))
    found = content(page)["labels"]
    assert isinstance(found, list)
    assert [each["suggested"] for each in found].count(True) == n


@key("labels", "r")
def a_role_is_toggled(tab: Visit, page: Page) -> None:
    label(tab, page, 15)
    choice = page.locator("#roles label").nth(2)
    box = choice.locator("input")
    press(page, "r", choice.locator("kbd").inner_text())
    expect(box).to_be_checked()
    assert saved(page)["roles"] == [box.get_attribute("value")]


@key("labels", "[", "]")
def confidence_goes_up_and_down(tab: Visit, page: Page) -> None:
    label(tab, page, 16)
    for each, level in (("]", "1"), ("]", "2"), ("]", "3"), ("[", "2")):
        press(page, each)
        expect(page.locator(f"[name=confidence][value='{level}']")).to_be_checked()


@key("labels", "c")
def the_strongest_example_is_cited(tab: Visit, page: Page) -> None:
    label(tab, page, 17)
    press(page, "j", "c")
    expect(page.locator("#evidence [name=evidence_note]")).to_be_focused()
    found = saved(page)["evidence"]
    assert isinstance(found, list)
    assert found[0]["target"].startswith(f"{rows(page).first.get_attribute('id')}:")


@key("labels", "m")
def notes_take_the_focus(tab: Visit, page: Page) -> None:
    label(tab, page, 18)
    press(page, "m")
    expect(page.locator("[name=notes]")).to_be_focused()


@key("labels", "u", "U")
def undo_and_redo(tab: Visit, page: Page) -> None:
    label(tab, page, 19)
    press(page, "]")
    saved(page)
    press(page, "]")
    expect(page.locator("[value=undo]")).to_be_enabled()
    for each, word, level in (("u", "undo", 1), ("U", "redo", 2)):
        press(page, each)
        expect(page.locator("#saved")).to_have_text(f"{word}: done")
        assert content(page)["confidence"] == level


def settled(tab: Visit, page: Page, head: int, name: str, status: str) -> None:
    label(tab, page, head)
    press(page, name)
    if status == "submitted":  # all features are open, so it asks once
        expect(page.locator("#asks")).to_contain_text("10 of 10 features are open")
        press(page, name)
    expect(mono(page)).to_have_text(f"L1H{head + 1}")
    found = page.request.get(f"{tab.base}/wide/heads/L1H{head}/annotation.json").json()
    assert found["record"]["status"] == status


@key("labels", "s")
def a_head_is_skipped(tab: Visit, page: Page) -> None:
    settled(tab, page, 30, "s", "skipped")


@key("labels", "Ctrl+↵")
def a_head_is_submitted(tab: Visit, page: Page) -> None:
    settled(tab, page, 40, "Ctrl+↵", "submitted")


def examples(page: Page) -> Locator:
    return page.locator(".feature-main .examples > li")


@key("feature", "j", "k")
def examples_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3")
    press(page, "j", "j")
    expect(examples(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(examples(page).nth(0)).to_be_focused()


@key("feature", "h", "l")
def the_features_beside_it(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F10")
    press(page, "l")
    expect(mono(page)).to_have_text("F17")
    page.wait_for_load_state()
    press(page, "h")
    expect(mono(page)).to_have_text("F10")


@key("feature", "e")
def an_example_opens_to_its_whole_text(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3")
    press(page, "j", "e")
    expect(examples(page).first).to_have_class("example-row whole-example")
    expect(examples(page).first.locator(".whole-text")).to_have_count(2)


@key("feature", "c")
def the_example_or_the_feature_is_cited(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F17?head=L1H7")
    press(page, "c")
    expect(page.locator("#cited")).to_contain_text("Cited F17 as evidence 1 of your record of L1H7.")
    press(page, "j", "c")
    expect(page.locator("#cited")).to_contain_text("Cited the example as evidence 2")
    expect(examples(page).first.locator(".cite-example")).to_have_text("2")


@key("feature", "d")
def dfa_goes_through_every_head_and_all(tab: Visit, page: Page) -> None:
    tab.go("/tiny/features/L1F3?head=L1H7")
    for name in ("L1H8", "all heads", "L1H0"):
        press(page, "d")
        expect(page.locator(".segmented > a[aria-current]").first).to_have_text(name)
        page.wait_for_load_state()


@key("feature", "a")
def a_feature_is_aligned_by_token(tab: Visit, page: Page) -> None:
    align(tab, page, "/tiny/features/L1F3?head=L1H2")


@key("feature", "v")
def values_of_a_feature(tab: Visit, page: Page) -> None:
    values(tab, page, "/tiny/features/L1F3")


def compared(tab: Visit, page: Page, name: str, heads: list[str]) -> None:
    tab.go("/tiny/compare?heads=L1H3,L1H5")
    press(page, name)
    expect(page.locator("h1 a.mono")).to_have_text(heads)


@key("compare", "[")
def the_head_before(tab: Visit, page: Page) -> None:
    compared(tab, page, "[", ["L1H3", "L1H4"])


@key("compare", "]")
def the_head_after(tab: Visit, page: Page) -> None:
    compared(tab, page, "]", ["L1H3", "L1H6"])


@key("compare", "w")
def heads_change_places(tab: Visit, page: Page) -> None:
    compared(tab, page, "w", ["L1H5", "L1H3"])


@key("compare", "f")
def compared_by_the_other_ranking(tab: Visit, page: Page) -> None:
    compared(tab, page, "f", ["L1H3", "L1H5"])
    expect(page.locator(".segmented a[aria-current]")).to_have_text("FVE")


@key("compare", "t")
def scores_as_a_table(tab: Visit, page: Page) -> None:
    compared(tab, page, "t", ["L1H3", "L1H5"])
    expect(page.locator("details.table-view table").first).to_be_visible()


def heads_of_the_sheet(page: Page) -> Locator:
    return page.locator(".sheet tbody th a")


@key("annotations", "j", "k")
def rows_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, "j", "j")
    expect(heads_of_the_sheet(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(heads_of_the_sheet(page).nth(0)).to_be_focused()


@key("annotations", "↵")
def a_row_opens(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    head = heads_of_the_sheet(page).first.inner_text()
    press(page, "j", "↵")
    expect(mono(page)).to_have_text(head)


def sorted_column(page: Page) -> Locator:
    return page.locator(".sheet th[aria-sort]")


@key("annotations", "o")
def sorted_by_the_next_column(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations?layers=1&columns=groups,notes")
    names = [name.rstrip(" ↑↓") for name in page.locator(".sheet thead th").all_inner_texts()]
    assert len(names) == 4
    expect(sorted_column(page)).to_have_text(re.compile(rf"^\s*{names[0]}"))
    for name in (*names[1:], names[0]):
        press(page, "o")
        expect(sorted_column(page)).to_have_text(re.compile(rf"^\s*{name}"))
        expect(sorted_column(page)).to_have_attribute("aria-sort", "ascending")
        page.wait_for_load_state()
    assert "layers=1" in page.url


@key("annotations", "O")
def the_order_turns(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations?layers=1&sort=head")
    first, last = (heads_of_the_sheet(page).nth(at).inner_text() for at in (0, -1))
    for order, head in (("descending", last), ("ascending", first)):
        press(page, "O")
        expect(sorted_column(page)).to_have_attribute("aria-sort", order)
        expect(heads_of_the_sheet(page).first).to_have_text(head)
        page.wait_for_load_state()


@key("annotations", ",")
def columns_are_chosen(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, ",")
    expect(page.locator("#columns input[type=checkbox]").first).to_be_focused()
    press(page, "Esc")
    expect(page.locator("#columns")).not_to_have_attribute("open", "")


@key("annotations", "X")
def the_export_takes_the_focus(tab: Visit, page: Page) -> None:
    tab.go("/tiny/annotations")
    press(page, "X")
    expect(page.locator(".export-bar a").first).to_be_focused()


@key("search", "j", "k")
def results_are_stepped_through(tab: Visit, page: Page) -> None:
    tab.go("/tiny/search?q=the")
    press(page, "j", "j")
    expect(rows(page).nth(1)).to_be_focused()
    press(page, "k")
    expect(rows(page).nth(0)).to_be_focused()


@key("search", "h", "l")
def pages_of_results_are_turned(tab: Visit, page: Page) -> None:
    tab.go("/wide/search?q=evidence:copying>0.1")
    first = rows(page).nth(0).get_attribute("aria-label")
    press(page, "l")
    page.wait_for_url("**page=2")
    expect(page.locator("h1")).to_have_text(re.compile("Features 26 to"))
    assert rows(page).nth(0).get_attribute("aria-label") != first
    press(page, "h")
    page.wait_for_url("**/wide/search?q=evidence%3Acopying%3E0.1")
    expect(rows(page).nth(0)).to_have_attribute("aria-label", str(first))


@pytest.mark.parametrize("check", dict.fromkeys(TESTED.values()), ids=lambda check: check.__name__)
def test_what_the_key_does(tab: Visit, check: Check) -> None:
    check(tab, tab.page)
