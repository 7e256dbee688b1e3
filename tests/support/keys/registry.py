"""The checks of keys by section and key, and what several of them need."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.support.browsing import Visit

Key = tuple[str, str]  # the section of the sheet, and the key as it is printed there
Check = Callable[[Visit, Page], None]
TESTED: dict[Key, Check] = {}
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


def mono(page: Page) -> Locator:
    return page.locator("h1")


def rows(page: Page) -> Locator:
    return page.locator("article.feature-entry")


def align(tab: Visit, page: Page, path: str) -> None:
    tab.go(path)
    sources = page.locator(".source-strip > b > :last-child.peak")
    expect(sources).to_have_count(0)
    press(page, "a")
    page.wait_for_url("**align=token**")
    expect(sources.first).to_be_visible()


def values(tab: Visit, page: Page, path: str) -> None:
    tab.go(path)
    is_on = "getComputedStyle(document.querySelector('.peak[data-v]'), '::after').content"
    assert page.evaluate(is_on) in ("none", "normal")
    press(page, "v")
    assert page.evaluate(is_on) not in ("none", "normal")
