"""Every key of the sheet that `?` opens does what the sheet says. A key without a check here fails the first test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browsing import Visit, open_tab
from tests.support.keys import annotations, anywhere, atlas, compare, feature, head, labels, search
from tests.support.keys.registry import TESTED, Check, Key

# To import a section registers its checks.
SECTIONS = (anywhere, atlas, head, labels, feature, compare, annotations, search)
pytestmark = [pytest.mark.browser, pytest.mark.slow]
# The page of each section, and the sections whose keys its bottom line may name.
PAGES = {
    "atlas": ("/tiny", ("atlas",)),
    "head": ("/tiny/heads/L1H6", ("head", "labels")),
    "feature": ("/tiny/features/L1F3?head=L1H2", ("feature",)),
    "compare": ("/tiny/compare?heads=L1H3,L1H5", ("compare",)),
    "annotations": ("/tiny/annotations", ("annotations",)),
    "search": ("/tiny/search?q=the", ("search",)),
}


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


@pytest.mark.parametrize("check", dict.fromkeys(TESTED.values()), ids=lambda check: check.__name__)
def test_what_the_key_does(tab: Visit, check: Check) -> None:
    check(tab, tab.page)
