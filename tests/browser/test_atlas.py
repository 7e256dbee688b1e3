"""The atlas with annotations, 48 heads per layer, a job under way, and with nothing at all."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsing import Visit, open_tab, serving
from tests.support.page_looks import THEMES_AND_WIDTHS, WATCH_SHIFTS, overflow, shifts, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = (
    "/",
    "/tiny",
    "/tiny?colour=groups",
    "/tiny?colour=progress&annotator=ben",
    "/tiny?score=copying&order=value&type=monosemantic",
    "/tiny?role=induction&status=both&layers=0",
    "/tiny/heads/L1H2",
    "/wide",
    "/wide/heads/L1H47",
    "/wide/features/L1F3",
    "/wide/search?q=evidence:copying%3E0.1",
    "/wide/search?q=evidence:copying%3E0.1&page=2",
    "/wide/compare",
    "/wide/compare?heads=L1H3",
    "/wide/compare?heads=L1H0,L1H47",
)


@pytest.fixture(scope="module")
def empty_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("bare") / "store.sqlite")) as url:
        yield url


@pytest.fixture
def full(chromium: Browser, full_url: str) -> Iterator[Visit]:
    visit = open_tab(chromium, full_url, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_pages_fit_and_do_not_shift(full: Visit, path: str, width: int) -> None:
    full.page.set_viewport_size({"width": width, "height": 900})
    full.page.add_init_script(WATCH_SHIFTS)
    full.go(path)
    full.page.wait_for_load_state("networkidle")
    assert overflow(full.page) <= 0
    assert shifts(full.page) == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing(chromium: Browser, full_url: str, path: str, theme: str, width: int) -> None:
    visit = open_tab(
        chromium, full_url, bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 1000}
    )
    visit.go(path)
    found = violations(visit.page, width)
    visit.page.context.close()
    assert found == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_empty_store_says_what_to_do(chromium: Browser, empty_url: str, theme: str) -> None:
    visit = open_tab(
        chromium, empty_url, bypass_csp=True, color_scheme=theme, viewport={"width": 390, "height": 800}
    )
    visit.go("/")
    expect(visit.page.locator("main")).to_contain_text("head-atlas demo")
    assert overflow(visit.page) <= 0
    assert violations(visit.page, 390) == []
    visit.page.context.close()
    assert visit.errors == []


def test_a_job_under_way_is_on_the_front_page_and_the_atlas(full: Visit) -> None:
    for path in ("/", "/tiny"):
        full.go(path)
        expect(full.page.locator(".job")).to_contain_text("3 of 12 shards")


def card_requests(visit: Visit) -> list[str]:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url) if "/card" in request.url else None)
    return asked


def test_a_card_opens_beside_its_cell_and_asks_once(full: Visit) -> None:
    asked = card_requests(full)
    full.go("/tiny")
    card = full.page.locator("#card")
    cell = full.page.locator("a.cell[href$='/L1H2']")
    for _ in range(2):
        cell.hover()
        expect(card.locator("header b")).to_have_text("L1H2")
        full.page.mouse.move(5, 5)
        expect(card).to_be_hidden()
    assert len(asked) == 1
    box = cell.bounding_box()
    cell.hover()
    expect(card).to_be_visible()
    expect(card).to_contain_text("bisemantic")
    shown = card.bounding_box()
    assert box is not None
    assert shown is not None
    assert shown["x"] >= box["x"] + box["width"] or shown["x"] + shown["width"] <= box["x"]
    assert shown["y"] >= 0
    assert shown["y"] + shown["height"] <= 1000


def test_a_card_opens_at_once_for_the_keyboard(full: Visit) -> None:
    full.go("/tiny")
    card = full.page.locator("#card")
    full.page.keyboard.press("ArrowDown")  # enters the grid at its tab stop
    expect(card.locator("header b")).to_have_text("L0H0")
    full.page.keyboard.press("ArrowDown")
    expect(card.locator("header b")).to_have_text("L1H0")
    full.page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(full.page.locator('.grid a.cell[tabindex="0"]')).to_have_count(1)
    full.page.keyboard.press("c")
    full.page.wait_for_url("**/tiny/compare?heads=L1H0")
    full.page.go_back()
    full.page.wait_for_load_state()


def test_a_finger_gets_the_head_and_no_card(chromium: Browser, full_url: str) -> None:
    visit = open_tab(
        chromium, full_url, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    asked = card_requests(visit)
    visit.go("/tiny")
    visit.page.locator("a.cell[href$='/L1H2']").tap()
    expect(visit.page.locator("h1")).to_have_text("L1H2")
    visit.page.context.close()
    assert (asked, visit.errors) == ([], [])


def test_colours_order_and_the_next_head_by_key(full: Visit) -> None:
    full.go("/tiny")
    expect(full.page.locator(".thumbnail[aria-current] b")).to_have_text("Head type")
    for key, name in (("2", "Feature groups"), ("3", "Induction"), ("6", "Progress"), ("1", "Head type")):
        full.page.keyboard.press(key)
        expect(full.page.locator(".thumbnail[aria-current] b")).to_have_text(name)
        full.page.wait_for_load_state()
    full.page.keyboard.press("7")
    expect(full.page.locator(".score-link[aria-current]")).to_contain_text("Duplicate token")
    full.page.wait_for_load_state()
    full.page.keyboard.press("s")
    expect(full.page.locator("thead th").first).to_have_text("1st")
    full.page.wait_for_load_state()
    full.page.keyboard.press("n")
    expect(full.page.locator("h1")).to_have_text("L1H5")
    full.page.go_back()
    expect(full.page.locator("thead th").first).to_have_text("1st")


def test_a_chosen_filter_applies_itself(full: Visit) -> None:
    full.go("/tiny?colour=groups")
    full.page.locator("select[name=type]").select_option("monosemantic")
    expect(full.page.locator(".chips")).to_contain_text("2 of 54 heads")
    assert full.page.url.endswith("/tiny?colour=groups&type=monosemantic")
    full.page.locator("select[name=status]").select_option("both")
    expect(full.page.locator("td a.cell:not(.off)")).to_have_count(1)
    full.page.locator("a.filter-chip").first.click()
    expect(full.page.locator("td a.cell:not(.off)")).to_have_count(1)
    assert full.page.url.endswith("/tiny?colour=groups&status=both")
    full.page.go_back()
    expect(full.page.locator("a.filter-chip")).to_have_count(2)


def test_single_keys_can_be_switched_off(full: Visit) -> None:
    full.go("/tiny")
    full.page.keyboard.press("?")
    full.page.locator("#single-keys").uncheck()
    full.page.keyboard.press("Escape")
    full.go("/tiny/heads/L1H2")
    full.page.keyboard.press("l")
    full.page.keyboard.press("?")
    expect(full.page.locator("dialog#keys")).to_be_hidden()
    expect(full.page.locator("h1")).to_have_text("L1H2")
    full.page.locator('[data-opens="keys"]').click()
    full.page.locator("#single-keys").check()
    full.page.keyboard.press("Escape")
    full.page.keyboard.press("l")
    expect(full.page.locator("h1")).to_have_text("L1H3")


def test_filters_work_without_scripts(chromium: Browser, full_url: str) -> None:
    visit = open_tab(chromium, full_url, java_script_enabled=False)
    visit.go("/tiny")
    visit.page.locator("select[name=role]").select_option("induction")
    visit.page.locator(".filters button").click()
    expect(visit.page.locator("td a.cell:not(.off)")).to_have_count(2)
    visit.page.context.close()
    assert visit.errors == []
