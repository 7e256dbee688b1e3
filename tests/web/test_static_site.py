"""The atlas as files: every link leads to a file that exists, and nothing needs a server."""

from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from data import StoredRun
from sqlalchemy import Engine

from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.web.static_site import FolderInUse, SiteFiles, export_site
from tests.annotated import labelled
from tests.services.annotating import Team


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle") / "site"


@pytest.fixture
def site(folder: Path, site_engine: Engine) -> Path:
    if not folder.exists():
        n_files = export_site(site_engine, "tiny", folder)
        assert n_files == sum(path.is_file() for path in folder.rglob("*"))
    return folder


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_there_is_a_page_for_everything(site: Path, run: StoredRun) -> None:
    names = {path.relative_to(site).as_posix() for path in pages(site)}
    assert {f"heads/{head.ref}.html" for head in run.heads} <= names
    assert {f"heads/{head.ref}.fve.html" for head in run.heads} <= names
    assert {f"features/{ref}.html" for ref in run.features} <= names
    assert {"index.html", "about.html", "layers/0.html", "layers/2.html", "score-induction.html"} <= names
    assert "layers/1.html" not in names


def test_every_link_leads_to_a_file(site: Path) -> None:
    n_links = 0
    for path in pages(site):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for tag in page.find_all(True):
            for name in ("href", "src"):
                address = str(tag.get(name) or "")
                if not address or address.startswith(("#", "https://")):
                    continue
                n_links += 1
                file, _, fragment = address.partition("#")
                target = (path.parent / unquote(file)).resolve()
                assert target.is_file(), f"{path.name}: {address}"
                assert site.resolve() in target.parents
                assert not file.startswith("/")
                if fragment and target == path.resolve():
                    assert page.find(id=fragment)
            assert not [name for name in tag.attrs if name.startswith("hx-")]
            assert tag.name != "form"
            assert "integrity" not in tag.attrs
    assert n_links > 500


def test_rows_are_whole_and_folded(site: Path) -> None:
    page = BeautifulSoup((site / "heads" / "L0H1.html").read_text("utf-8"), "html.parser")
    rows = page.select("article.ft")
    assert len(rows) == 10
    assert all(len(row.select("details ol.ex li")) == 10 for row in rows)
    assert [row.find("details").has_attr("open") for row in rows] == [True] + [False] * 9  # type: ignore[union-attr]
    assert all("vh" not in row.find("summary")["class"] for row in rows[1:])  # type: ignore[index,operator]


def test_annotations_are_in_it_only_when_asked_for(engine: Engine, tmp_path: Path) -> None:
    team = Team(engine, ada={}, bob={}, boss={"role": "admin"})
    team.save("ada", labelled(0, *["after commas"] * 10, roles=("induction",)), HeadRef(0, 1))
    team.save("bob", labelled(0, *["kept to bob"] * 10), HeadRef(0, 2), status="draft")
    export_site(engine, "tiny", tmp_path / "plain")
    export_site(engine, "tiny", tmp_path / "whole", team["boss"])
    plain = "".join(path.read_text("utf-8", "replace") for path in (tmp_path / "plain").glob("*.html"))
    assert "after commas" not in plain
    assert "kept to bob" not in plain
    assert not list((tmp_path / "plain").glob("annotations.*"))
    whole = (tmp_path / "whole" / "colour-groups.html").read_text("utf-8")
    assert "after commas" in whole
    sheet = (tmp_path / "whole" / "annotations.csv").read_text("utf-8")
    assert "after commas" in sheet
    assert "kept to bob" in sheet  # an admin sees drafts
    assert "after commas" in (tmp_path / "whole" / "annotations.json").read_text("utf-8")


def test_nothing_is_written_over_and_nothing_left_half_done(
    tmp_path: Path, site_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "here"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(FolderInUse, match="not an empty folder"):
        export_site(site_engine, "tiny", out)
    with pytest.raises(NotFound):
        export_site(site_engine, "other", tmp_path / "new")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("app.web.static_site.about_page", fail)
    with pytest.raises(OSError, match="disk full"):
        export_site(site_engine, "tiny", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/tiny", "index.html"),
        ("/", "index.html"),
        ("/tiny?score=copying", "score-copying.html"),
        ("/tiny?colour=type", "colour-type.html"),
        ("/tiny?score=copying&layers=1", None),
        ("/tiny?colour=type&order=value", None),
        ("/tiny/prompt", None),
        ("/tiny/search", None),
        ("/tiny/heads/L0H1?rank=decoder_weight&k=10", "heads/L0H1.html"),
        ("/tiny/heads/L0H1", "heads/L0H1.html"),
        ("/tiny/heads/L0H1?rank=fve&k=10", "heads/L0H1.fve.html"),
        ("/tiny/heads/L0H1?rank=fve&k=20", None),
        ("/tiny/heads/L0H1?open=L0F3&group=2", None),
        ("/tiny/features/L0F3?head=L0H1", "features/L0F3.html"),
        ("/tiny/features/L0F4", None),
        ("/tiny/layers/0?after=9", "layers/0.after-9.html"),
        ("/static/css/theme.css?v=1", "static/css/theme.css"),
        ("/static/vendor/htmx.min.js", None),
        ("/about", "about.html"),
        ("/tiny/compare?heads=L0H1", None),
        ("/docs", None),
        ("/other", None),
    ],
)
def test_addresses_become_files(address: str, file: str | None) -> None:
    assert SiteFiles("tiny", frozenset({FeatureRef(0, 3)})).file_of(address) == file
