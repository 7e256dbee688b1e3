"""Pages in a real browser: htmx, themes, widths, accessibility, and without scripts."""

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsing import Visit, open_tab
from tests.support.page_looks import THEMES_AND_WIDTHS, covered, overflow, violations
from tests.support.pages import IN_BROWSER

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(params=[1440, 1024, 390])
def width(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.mark.parametrize("path", IN_BROWSER)
def test_no_page_scrolls_sideways_or_covers_words(visit: Visit, path: str, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.go(path)
    if path == "/none":
        visit.errors.clear()  # the browser reports the status itself
    assert overflow(visit.page) <= 0
    assert covered(visit.page) == []


def test_what_a_head_attends_to_opens_in_place(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    before = visit.page.url
    visit.page.locator(".attention a.in-place").click()
    expect(visit.page.locator(".attention ol.examples li")).to_have_count(10)
    visit.page.locator(".groups-of-attention a").nth(2).click()
    expect(visit.page.locator(".groups-of-attention a").nth(2)).to_have_attribute("aria-current", "true")
    visit.page.locator(".groups-of-attention a").first.click()
    visit.page.locator(".attention li a.in-place").nth(3).click()
    expect(visit.page.locator("#pattern figcaption b")).to_have_text("Attention pattern of example 4")
    expect(visit.page.locator("main")).to_have_count(1)
    assert visit.page.url == before


def test_a_row_opens_in_place(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    before = visit.page.url
    row = visit.page.locator("article.feature-entry").nth(2)
    name = row.get_attribute("id")
    row.locator("a.open-link").click()
    expect(visit.page.locator(f"#{name}.open")).to_have_count(1)
    expect(visit.page.locator(f"#{name} ol.examples li")).to_have_count(10)
    expect(visit.page.locator("article.feature-entry")).to_have_count(10)
    expect(visit.page.locator("main")).to_have_count(1)
    assert visit.page.url == before
    visit.page.locator(f"#{name} .intervals a").nth(2).click()
    expect(visit.page.locator(f"#{name} .intervals a[aria-current]")).to_have_text(
        visit.page.locator(f"#{name} .intervals a").nth(2).inner_text()
    )


def test_d06_going_back_shows_whole_pages(visit: Visit) -> None:
    visit.go("/tiny/heads/L1H3")
    visit.page.locator("a.open-link").first.click()
    expect(visit.page.locator("article.open")).to_have_count(2)
    visit.page.locator("a.feature-id").first.click()
    expect(visit.page.locator("main.feature")).to_have_count(1)
    visit.page.go_back()
    expect(visit.page.locator("main.head")).to_have_count(1)
    expect(visit.page.locator("article.feature-entry")).to_have_count(10)


def test_filters_are_in_the_address(visit: Visit) -> None:
    visit.go("/tiny")
    visit.page.locator("input[name=layers]").fill("1-2")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("td a.cell:not(.off)")).to_have_count(18)
    assert "layers=1-2" in visit.page.url
    visit.page.go_back()
    expect(visit.page.locator("td a.cell.off")).to_have_count(0)


def test_a_head_prints_on_white_without_controls(visit: Visit) -> None:
    visit.page.emulate_media(media="print", color_scheme="dark")
    visit.go("/tiny/heads/L1H3")
    for hidden in (".nav", ".status", ".segmented >> nth=0", "a.open-link >> nth=0"):
        expect(visit.page.locator(hidden)).to_be_hidden()
    expect(visit.page.locator("article.feature-entry").first).to_be_visible()
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(252, 252, 251)"


def test_the_theme_is_kept(visit: Visit) -> None:
    visit.page.emulate_media(color_scheme="light")
    visit.go("/tiny")

    def ground() -> str:
        return visit.page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = ground()
    visit.page.locator("#theme").click()
    dark = ground()
    assert light != dark
    visit.go("/tiny/heads/L1H3")
    assert ground() == dark
    visit.page.keyboard.press("T")
    visit.page.emulate_media(color_scheme="dark")
    assert ground() == light


def test_the_hinge_is_one_line(visit: Visit) -> None:
    """Sources begin, and firing tokens end, at the same place in all pairs of a row."""
    visit.go("/tiny/heads/L1H3")
    for side in (".source-strip", ".destination-strip"):
        places = visit.page.locator(f"article.open {side} > i").evaluate_all(
            "parts => parts.map(part => Math.round(part.getBoundingClientRect().left))"
        )
        assert len(places) == 10
        assert len(set(places)) == 1


def test_c03_c07_odd_tokens_run_nothing_and_keep_their_place(visit: Visit) -> None:
    visit.page.add_init_script("window.alert = () => { window.pwned = true }")
    for head in range(4):
        visit.go(f"/tiny/heads/L1H{head}?k=50")
        assert visit.page.evaluate("window.pwned") is None
        assert visit.page.evaluate("document.querySelectorAll('[onmouseover]').length") == 0
        ordered = visit.page.locator(".strip > *").evaluate_all(
            """strips => strips.every(strip => {
                const places = [...strip.children].map(token => token.getBoundingClientRect().left);
                return places.every((place, i) => i === 0 || place >= places[i - 1] - 0.5);
            })"""
        )
        assert ordered


@pytest.mark.parametrize("path", IN_BROWSER)
@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
def test_axe_finds_nothing(chromium: Browser, base_url: str, path: str, theme: str, width: int) -> None:
    # The policy would stop axe itself, so it is switched off for this tab alone.
    visit = open_tab(
        chromium, base_url, bypass_csp=True, color_scheme=theme, viewport={"width": width, "height": 1000}
    )
    visit.go(path)
    found = violations(visit.page, width)
    visit.page.context.close()
    assert found == []


def test_everything_works_without_scripts(chromium: Browser, base_url: str) -> None:
    visit = open_tab(chromium, base_url, java_script_enabled=False)
    visit.go("/")
    visit.page.locator("a.cell[href='/tiny/heads/L1H3']").click()
    row = visit.page.locator("article.feature-entry").nth(3)
    name = row.get_attribute("id")
    row.locator("a.open-link").click()
    expect(visit.page.locator(f"#{name}.open ol.examples li")).to_have_count(10)
    visit.page.locator(".features-bar a", has_text="FVE").click()
    expect(visit.page.locator(".features-bar .segmented a[aria-current]").first).to_have_text("FVE")
    expect(visit.page.locator("#theme")).to_be_hidden()
    visit.page.locator("a.feature-id").first.click()
    expect(visit.page.locator("main.feature h1")).to_have_count(1)
    visit.page.context.close()
    assert visit.errors == []
