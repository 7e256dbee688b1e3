"""The spreadsheet and the pages around it in a real browser: keys, columns, import, settling, widths, accessibility."""

import shutil
import threading
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import expect

from app.domain.refs import HeadRef
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.settings import Settings
from app.store.annotators import ensure_annotator
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from app.web.factory import create_app
from tests.support.annotated_atlas import NOW, labelled
from tests.support.browsing import Visit, open_tab
from tests.support.page_looks import THEMES_AND_WIDTHS, covered, overflow, violations
from tests.support.run_data import publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = (
    "/tiny/annotations",
    "/tiny/annotations?layers=1&sort=-notes&columns=notes,groups,labels,run",
    "/tiny/annotations?by=nobody",
    "/tiny/annotations/import",
    "/tiny/annotations/settle/L1H1",
    "/tiny/layers",
    "/tiny/layers?by=ada",
    "/tiny/published",
    "/tiny/annotations/publish",
)


def _fill(engine):
    """Records of ada and of the local annotator, who is an admin: agreeing, differing, long, and of another script."""
    with write_session(engine) as session:
        run = get_live_run(session, "tiny")
        for name, role in (("ada", "annotator"), ("me", "admin")):
            viewer = Viewer.of(ensure_annotator(session, name, NOW, role))
            for layer in (1, 4):
                for head in range(9):
                    mixed = head % 3 == 1 and name == "me"
                    content = labelled(
                        layer,
                        *("induction",) * (5 if mixed else 9),
                        *("\u202eא names",) * (5 if mixed else 1),
                        roles=("induction",) if head % 2 else ("copying", "name copying"),
                        notes="a note that is longer than its column " * (head % 4),
                    )
                    level = "token" if layer == 1 else "context"
                    groups = tuple(replace(group, abstraction=level) for group in content.groups)
                    content = replace(content, groups=groups)
                    save(
                        AtlasContext(session, run, viewer),
                        Save(HeadRef(layer, head), content, 0, str(uuid.uuid4()), "submitted"),
                        NOW,
                    )


@pytest.fixture(scope="module")
def annotated_url(sqlite_template, tmp_path_factory, run):
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("annotated") / "store.sqlite")
    engine = open_store(path)
    publish(engine, run)
    _fill(engine)
    engine.dispose()
    app = create_app(Settings(store=str(path)))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, http="h11", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def tab(chromium, annotated_url):
    """Fails its test for any error, refused script or style, or request to another place."""
    visit = open_tab(chromium, annotated_url, viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    yield visit
    visit.page.context.close()
    assert visit.errors == []


@pytest.mark.parametrize("width", [1440, 1024, 390])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_of_annotations_scrolls_sideways_or_covers_words(tab: Visit, path: str, width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.go(path)
    assert overflow(tab.page) <= 0
    assert covered(tab.page) == []


@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_on_pages_of_annotations(chromium, annotated_url, path, theme, width) -> None:
    visit = open_tab(
        chromium,
        annotated_url,
        bypass_csp=True,
        color_scheme=theme,
        viewport={"width": width, "height": 1000},
    )
    visit.go(path)
    if "annotations" in path and visit.page.locator("#columns").count():
        visit.page.locator("#columns summary").click()
    found = violations(visit.page, width)
    visit.page.context.close()
    assert found == []


def test_rows_are_22_pixels_and_the_header_and_first_column_stay(tab: Visit) -> None:
    tab.go("/tiny/annotations")
    rows = tab.page.locator(".sheet tbody tr")
    assert {round(rows.nth(i).bounding_box()["height"]) for i in range(rows.count())} == {22}
    tab.page.set_viewport_size({"width": 600, "height": 500})
    box = "document.querySelector('.table-scroll').getBoundingClientRect()"
    place = f"(() => {{ const a = {box}; return [a.left, a.top] }})()"
    tab.page.evaluate("document.querySelector('.table-scroll').scrollTo(120, 200)")
    left, top = tab.page.evaluate(place)
    assert tab.page.evaluate("document.querySelector('.table-scroll').scrollTop") == 200
    head = tab.page.locator(".sheet thead th").first.bounding_box()
    assert (round(head["x"] - left), round(head["y"] - top)) == (0, 0)
    assert round(tab.page.locator(".sheet tbody th").nth(12).bounding_box()["x"] - left) == 0


def test_keys_of_the_sheet(tab: Visit) -> None:
    tab.go("/tiny/annotations?layers=1")
    links = tab.page.locator(".sheet tbody th a")
    for _ in range(3):
        tab.page.keyboard.press("j")
    expect(links.nth(2)).to_be_focused()
    tab.page.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()
    tab.page.keyboard.press(",")
    expect(tab.page.locator("#columns")).to_have_attribute("open", "")
    expect(tab.page.locator("#columns input[type=checkbox]").first).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#columns")).not_to_have_attribute("open", "")
    tab.page.keyboard.press("X")
    expect(tab.page.locator(".export-bar a").first).to_be_focused()
    tab.page.keyboard.press("O")
    tab.page.wait_for_url("**sort=-head**")
    expect(links.first).to_have_text("L1H8")
    assert "layers=1" in tab.page.url
    tab.page.locator(".filters input[name=layers]").focus()
    tab.page.keyboard.type("j,X")
    expect(tab.page.locator(".filters input[name=layers]")).to_have_value("j,X1")


def test_columns_are_chosen_and_exported(tab: Visit) -> None:
    tab.go("/tiny/annotations?layers=4")
    tab.page.locator("#columns summary").click()
    for name in ("groups", "confidence", "knew_before", "new_groups", "n_evidence", "updated_at"):
        tab.page.locator(f"#columns input[value={name}]").uncheck()
    tab.page.locator("#columns input[value=ranking]").check()
    tab.page.locator("#columns button").click()
    names = [text.strip() for text in tab.page.locator(".sheet thead th").all_inner_texts()]
    assert "ranking" in names
    assert "conf." not in names
    with tab.page.expect_download() as waiting:
        tab.page.locator(".export-bar a", has_text="CSV").click()
    assert waiting.value.suggested_filename == "tiny-annotations.csv"
    header, *lines = Path(waiting.value.path()).read_text("utf-8-sig").splitlines()
    assert header.startswith("head,annotator,head_type,")
    assert len(lines) == 18


def test_a_sheet_is_imported_with_the_pointer(tab: Visit, tmp_path: Path) -> None:
    sheet = tmp_path / "by hand.csv"
    sheet.write_text("head,description\nL2H0,<b>hello</b>\nL2H1,שלום\n", "utf-8")
    tab.go("/tiny/annotations")
    tab.page.locator(".export-bar a", has_text="Import").click()
    tab.page.locator("input[type=file]").set_input_files(sheet)
    tab.page.locator(".upload button").click()
    expect(tab.page.locator("#diff-title")).to_contain_text("2 new, 0 changed")
    expect(tab.page.locator(".diff")).to_contain_text("<b>hello</b>")
    tab.page.locator("button[value=store]").click()
    expect(tab.page.locator("p.ok")).to_have_text("2 records stored by the import.")
    expect(tab.page.locator(".sheet")).to_contain_text("שלום")


def test_a_head_is_settled_without_scripts(chromium, annotated_url) -> None:
    visit = open_tab(chromium, annotated_url, java_script_enabled=False)
    visit.go("/tiny/annotations")
    link = visit.page.locator("#settle a.link", has_text="L1H4")
    link.click()
    visit.page.locator("input[type=radio][value=ada]").check()
    visit.page.locator("textarea").fill("as ada says")
    visit.page.locator("main form button").click()
    expect(visit.page.locator("#settle tr", has_text="L1H4")).to_contain_text("settled")
    visit.go("/tiny/layers")
    expect(visit.page.locator(".lead b")).to_have_text("consensus")
    visit.page.context.close()
    assert visit.errors == []
