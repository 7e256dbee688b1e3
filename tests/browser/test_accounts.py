"""The pages around an atlas: login, account, errors, and the front page of a store that holds nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.annotated_atlas import NOW
from tests.support.browsing import Visit, open_tab, serving
from tests.support.logins import PASSWORD, add_people
from tests.support.page_looks import overflow, violations

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 390)]


@pytest.fixture(scope="module")
def team_url(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A team with an empty store."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("team") / "store.sqlite")
    add_people(path, NOW, ada={"role": "admin"}, ben={"blind": True})
    with serving(path, team=True) as url:
        yield url


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def visit(request: pytest.FixtureRequest, chromium: Browser, team_url: str) -> Iterator[Visit]:
    """A tab that axe may run in, of one theme and width."""
    theme, width = request.param
    visit = open_tab(
        chromium, team_url, bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 900}
    )
    yield visit
    visit.page.context.close()
    assert visit.errors == []


def check(visit: Visit) -> None:
    assert overflow(visit.page) <= 0
    assert violations(visit.page, visit.page.viewport_size["width"]) == []  # type: ignore[index]


def log_in(visit: Visit, password: str = PASSWORD) -> None:
    visit.page.get_by_label("Name").fill("ben")
    visit.page.get_by_label("Password").fill(password)
    visit.page.get_by_role("button", name="Log in").click()


def test_the_login_page_and_what_it_says_of_a_wrong_password(visit: Visit) -> None:
    visit.go("/me")
    expect(visit.page.locator("h1")).to_have_text("Log in")
    check(visit)
    log_in(visit, "wrong")
    expect(visit.page.get_by_role("alert")).to_be_visible()
    check(visit)
    visit.errors.clear()  # the browser reports the status itself
    log_in(visit)
    expect(visit.page.locator("h1")).to_have_text("ben")


def test_the_account_page_and_what_it_says_of_a_wrong_password(visit: Visit) -> None:
    visit.go("/me")
    log_in(visit)
    expect(visit.page.locator("main")).to_contain_text("blind")
    check(visit)
    visit.page.get_by_label("Current password").fill("wrong")
    visit.page.get_by_label("New password").fill("long enough")
    visit.page.get_by_role("button", name="Change it").click()
    expect(visit.page.get_by_role("alert")).to_be_visible()
    check(visit)
    visit.errors.clear()
    visit.page.get_by_role("button", name="Log out").click()
    expect(visit.page.locator("h1")).to_have_text("Log in")


def test_an_error_and_an_empty_store(visit: Visit) -> None:
    visit.go("/me")
    log_in(visit)
    visit.go("/")
    expect(visit.page.locator("main")).to_contain_text("head-atlas demo")
    check(visit)
    visit.go("/none")
    expect(visit.page.locator("h1")).to_have_text("Not Found")
    check(visit)
    visit.errors.clear()
