"""E1, C3 to C9: two hundred hostile texts in every field, on every page, through every import and in the files: inert.

Each page is opened once with all of them; `make sweep` types every text into every field as well.
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from app.store.database.engine import open_store
from app.web.static_site.writer import export_site
from tests.support.browsing import Visit, open_tab, serving
from tests.support.hostile_store import DRAFT, NOTES, ONLY_DRAFTS, PEOPLE, fill, groups_of, hostile_run
from tests.support.hostile_text import HOSTILE
from tests.support.page_looks import overflow
from tests.support.run_data import StoredRun, publish

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAMPLE = HOSTILE[:: len(HOSTILE) // 8]
PAGES = (
    "/",
    "/about",
    "/docs",
    "/me",
    "/tiny",
    "/tiny?colour=type",
    "/tiny?colour=groups&order=value",
    "/tiny?colour=progress",
    "/tiny/layers/0",
    "/tiny/heads/L0H0/history",
    "/tiny/heads/L0H0/card",
    "/embed/tiny/heads/L0H0",
    "/embed/tiny/features/L0F3",
    "/tiny/features/L0F3",
    "/tiny/features/L0F10?head=L0H1",
    "/tiny/features/L1F3/cite",
    "/tiny/compare?heads=L0H0,L0H3,L1H0,L1H4",
    "/tiny/annotations",
    "/tiny/annotations?columns=notes,groups,labels,evidence,override_reason,run,sae,annotator",
    f"/tiny/annotations?by={quote(PEOPLE[0])}",
    "/tiny/annotations/import",
    "/tiny/annotations/settle/L0H0",
    "/tiny/annotations/publish",
    "/tiny/layers",
    f"/tiny/layers?by={quote(PEOPLE[1])}",
    "/tiny/published",
    "/tiny/experiments",
    "/tiny/next",
    "/tiny/search",
)
# Addresses that say again what they are asked for; {} is a text.
ECHOES = (
    "/tiny/search?q={}",
    "/tiny/search?q=group:{}",
    '/tiny/search?q=promotes:"{}"',
    "/{}",
    "/tiny/heads/{}",
    "/tiny/annotations?by={}",
    "/tiny/annotations?sort={}&columns={}&layers={}",
    "/tiny/heads/L0H0/history?annotator={}",
    "/tiny/compare?heads={}",
    "/tiny/experiments/{}",
    "/tiny/prompt?text={}",
    "/login?next={}",
)
# What a page holds that no template of ours has: a text that became markup.
FOREIGN = """() => {
  const wrong = window.pwned === undefined ? [] : ['ran'];
  const names = new Set(['iframe', 'object', 'embed', 'math', 'marquee', 'xss', 'plaintext', 'foreignObject',
    'animate', 'video', 'audio', 'style', 'frame', 'applet']);
  for (const element of document.querySelectorAll('*')) {
    const name = element.localName;
    if (names.has(name) || element.matches('base[href]')) wrong.push(name);
    if (name === 'script' && !element.getAttribute('src') && element.type !== 'application/json') wrong.push(name);
    for (const { name: attribute, value } of element.attributes) {
      if (/^(on|hx-on|srcdoc$|formaction$)/.test(attribute)) wrong.push(`${name} ${attribute}`);
      const leads = /^(href|src|action|xlink:href|hx-get|hx-post|hx-put)$/.test(attribute);
      if (leads && /^\\s*(javascript|vbscript|data:text|\\/\\/)/i.test(value)) wrong.push(`${name} ${value}`);
    }
  }
  return wrong;
}"""
SHOWN = """() => [document.body.textContent, ...[...document.querySelectorAll('input, textarea, option')].map(
  field => field.value)].join('\\n')"""


@pytest.fixture(scope="module")
def hostile() -> StoredRun:
    return hostile_run()


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, hostile: StoredRun) -> Path:
    path = Path(shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("hostile") / "store.sqlite"))
    engine = open_store(path)
    fill(engine, hostile)
    export_site(engine, "tiny", path.parent / "site", True)
    engine.dispose()
    return path


@pytest.fixture(scope="module")
def hostile_url(filled: Path) -> Iterator[str]:
    with serving(filled) as url:
        yield url


@pytest.fixture
def tab(chromium: Browser, hostile_url: str) -> Iterator[Visit]:
    """Fails its test for a dialog, an error, a breach of the policy, or a request to another place."""
    visit = watched(chromium, hostile_url)
    yield visit
    visit.page.context.close()
    assert [error for error in visit.errors if not is_refusal(error)] == []


def watched(chromium: Browser, base: str) -> Visit:
    visit = open_tab(chromium, base, viewport={"width": 1280, "height": 900})

    def dismiss(dialog: object) -> None:
        visit.errors.append("a dialog")
        dialog.dismiss()  # type: ignore[attr-defined]

    visit.page.on("dialog", dismiss)
    return visit


def is_refusal(error: str) -> bool:
    """Whether it is the browser's word about an answer of 4xx, which odd addresses get."""
    return "the server responded with a status of 4" in error


def assert_inert(page: Page, where: str) -> None:
    assert page.evaluate(FOREIGN) == [], where


def test_there_are_two_hundred() -> None:
    assert len(set(HOSTILE)) >= 200


@pytest.mark.parametrize("part", [0, 1])
def test_e01_every_page_shows_all_of_them_and_runs_none(tab: Visit, part: int) -> None:
    too_wide: dict[str, int] = {}
    for path in PAGES[part::2]:
        tab.page.set_viewport_size({"width": 1280, "height": 900})
        tab.go(path)
        assert_inert(tab.page, path)
        too_wide[path] = overflow(tab.page)
        tab.page.set_viewport_size({"width": 390, "height": 844})
        if not path.endswith("/card"):  # a finger gets the head and no card
            too_wide[f"{path}, on a phone"] = overflow(tab.page)
    assert {path: width for path, width in too_wide.items() if width > 0} == {}


def test_e01_c09_every_head_shows_its_groups_and_notes_as_they_are(tab: Visit, hostile: StoredRun) -> None:
    for head, names in list(groups_of(hostile).items())[::3]:
        tab.go(f"/tiny/heads/{head}")
        assert_inert(tab.page, str(head))
        shown = tab.page.evaluate(SHOWN)
        assert [name for name in names if name not in shown] == [], head
        assert tab.page.locator("textarea[name=notes]").input_value() == NOTES
        assert overflow(tab.page) <= 0, head


def test_e02_addresses_that_say_a_text_again_run_nothing(tab: Visit) -> None:
    for number, echo in enumerate(ECHOES):
        for text in SAMPLE[number % 4 :: 4]:
            address = echo.replace("{}", quote(text, safe=""))
            tab.go(address)
            assert_inert(tab.page, address)


@pytest.mark.sweep
@pytest.mark.parametrize("echo", ECHOES)
def test_e02_every_text_in_every_address(tab: Visit, echo: str) -> None:
    for text in HOSTILE:
        address = echo.replace("{}", quote(text, safe=""))
        tab.go(address)
        assert_inert(tab.page, address)


FIELDS = "input:is([type=text], [type=search], :not([type])):not([readonly]), textarea"
FORMS = (
    "/tiny/heads/L1H1",
    "/tiny/features/L1F3",
    "/tiny/annotations/settle/L0H0",
    "/tiny/compare?heads=L0H0",
    "/tiny/search",
    "/tiny/annotations",
    "/tiny",
    "/tiny/prompt",
)


def type_into_fields(visit: Visit, path: str, texts: tuple[str, ...]) -> int:
    """Put texts into every field that is shown: all of many, else one of few in turn. Returns how many fields."""
    visit.go(path)
    fields = [field for field in visit.page.locator(FIELDS).all() if field.is_visible()]
    for number, field in enumerate(fields):
        for text in texts if len(texts) == len(HOSTILE) else (texts[number % len(texts)],):
            if not field.is_visible() or not field.is_enabled():
                break
            field.fill(text)
            field.dispatch_event("change")
    visit.page.wait_for_timeout(400)  # what is typed is looked up and saved meanwhile
    assert_inert(visit.page, path)
    return len(fields)


def test_e01_texts_typed_into_every_field_run_nothing(tab: Visit) -> None:
    assert sum(type_into_fields(tab, path, SAMPLE) for path in FORMS) > 10


@pytest.mark.sweep
@pytest.mark.parametrize("path", FORMS)
def test_e01_every_text_typed_into_every_field_runs_nothing(tab: Visit, path: str) -> None:
    type_into_fields(tab, path, HOSTILE)


TYPED = (
    "head",
    "feature",
    "annotator",
    "groups",
    "labels",
    "override_reason",
    "notes",
    "evidence",
    "label",
    "note",
)


def content_of(url: str, parts: tuple[str, ...]) -> list[list[str]]:
    """What people typed, of every record that was submitted."""
    with urllib.request.urlopen(f"{url}/tiny/annotations.json") as answer:  # noqa: S310
        sheet = json.load(answer)
    rows = [row for part in parts for row in sheet[part] if row["annotator"] != ONLY_DRAFTS]
    return sorted([row.get(name, "") for name in TYPED] for row in rows)


@pytest.mark.parametrize("file_format", ["csv", "xlsx", "parquet", "json"])
def test_e01_g01_every_import_shows_and_stores_them_and_runs_none(
    chromium: Browser,
    hostile_url: str,
    hostile: StoredRun,
    sqlite_template: Path,
    tmp_path: Path,
    file_format: str,
) -> None:
    sheet = tmp_path / f"{PEOPLE[1].replace('/', '')}.{file_format}"
    with urllib.request.urlopen(f"{hostile_url}/tiny/annotations.{file_format}") as answer:  # noqa: S310
        sheet.write_bytes(answer.read())
    engine = open_store(shutil.copyfile(sqlite_template, tmp_path / "empty.sqlite"))
    publish(engine, hostile)
    engine.dispose()
    with serving(tmp_path / "empty.sqlite") as url:
        visit = watched(chromium, url)
        visit.go("/tiny/annotations/import")
        visit.page.locator("input[type=file]").set_input_files(sheet)
        visit.page.locator(".upload button").click()
        visit.page.locator("#diff-title").wait_for()
        assert_inert(visit.page, "preview")
        assert overflow(visit.page) <= 0
        visit.page.locator("button[value=store]").click()
        visit.page.wait_for_url("**/annotations?imported=*")
        assert_inert(visit.page, "sheet")
        visit.page.context.close()
        assert visit.errors == []
        # CSV and Parquet are one table, that of heads.
        parts = ("heads", "feature_notes") if file_format in ("xlsx", "json") else ("heads",)
        assert content_of(url, parts) == content_of(hostile_url, parts)


def test_e01_the_files_of_an_atlas_run_nothing_and_leak_no_draft(chromium: Browser, filled: Path) -> None:
    site = filled.parent / "site"
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    visit = watched(chromium, site.as_uri())
    for name in [name for name in names if "/" not in name] + names[:: max(1, len(names) // 12)]:
        visit.go(f"/{name}")
        assert_inert(visit.page, name)
    visit.page.context.close()
    assert visit.errors == []
    hidden = (DRAFT.encode(), ONLY_DRAFTS.encode(), b"only-drafts")
    leaks = [
        (path, text)
        for path in site.rglob("*")
        if path.is_file()
        for text in hidden
        if text in path.read_bytes()
    ]
    assert leaks == []
