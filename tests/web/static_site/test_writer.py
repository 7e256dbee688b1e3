"""The atlas as files: every link leads to a file that exists, nothing needs a server, and nothing is told too early."""

import json
import os
import shutil
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import Engine

from app.domain.annotations.records import EvidenceLink, FeatureNote
from app.domain.records import JobProgress
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.annotations.saving import Save, save
from app.services.reading.context import AtlasContext
from app.store.atlas.progress import report_progress
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, write_session
from app.web.static_site.writer import FolderInUse, export_site
from tests.support.annotated_atlas import NOW, labelled
from tests.support.annotating import Team
from tests.support.experiment_results import FAILED, RUNNING, store_experiments
from tests.support.run_data import StoredRun, make_run, publish
from tests.support.soups import soup as parsed

pytestmark = pytest.mark.slow

SECRET = "not for everyone"
UNFINISHED = (RUNNING, FAILED)
ODD_NAME = "bén/../<b>"


@dataclass(frozen=True)
class Made:
    """A bundle with labels and one without, of one store."""

    whole: Path
    plain: Path
    experiments: dict[str, str]


@pytest.fixture(scope="module")
def made(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> Made:
    folder = tmp_path_factory.mktemp("bundle")
    engine = open_store(shutil.copyfile(sqlite_template, folder / "store.sqlite"))
    annotate(engine, run)
    ids = store_experiments(engine)
    for name, labels in (("whole", True), ("plain", False)):
        n_files = export_site(engine, "tiny", folder / name, labels)
        assert n_files == sum(path.is_file() for path in (folder / name).rglob("*"))
    engine.dispose()
    return Made(folder / "whole", folder / "plain", ids)


def annotate(engine: Engine, run: StoredRun) -> None:
    """Three annotators and the consensus, and everything that nobody else is to see yet."""
    team = Team(engine, run, ada={}, boss={"role": "admin"}, **{ODD_NAME: {"blind": True}})
    evidence = (EvidenceLink("example", "L0F3:0:5", "it reads a comma"), EvidenceLink("score", "induction"))
    commas = labelled(0, *["after commas"] * 10, roles=("induction",), confidence=4, evidence=evidence)
    team.save("ada", commas)
    team.save("ada", FeatureNote("commas", "a note of a feature"), FeatureRef(0, 3))
    team.save(ODD_NAME, labelled(0, *["verbs"] * 9, "?", notes="as ben says"))
    with write_session(engine) as session:
        agreed = labelled(0, *["as agreed"] * 10)
        made = Save(HeadRef(0, 1), agreed, 0, str(uuid.uuid4()), "submitted", for_consensus=True)
        save(AtlasContext(session, get_live_run(session, "tiny"), team["boss"]), made, NOW)
        report_progress(session, JobProgress("ab" * 32, "shards", 3, 12, "shards", 0.5, NOW))
    for head, status in enumerate(("draft", "unsure", "skipped")):
        hidden = labelled(2, *[f"{SECRET} {status}"] * 10, notes=SECRET)
        team.save("boss", hidden, HeadRef(2, head), status=status)
    shown = team.save("ada", labelled(0, *["once shown"] * 10), HeadRef(0, 2))
    team.save("ada", labelled(0, *[SECRET] * 10), HeadRef(0, 2), shown.version, "draft")


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def soup(path: Path) -> BeautifulSoup:
    return parsed(path.read_text("utf-8"))


def everything(site: Path) -> str:
    return "".join(path.read_text("utf-8", "replace") for path in site.rglob("*") if path.is_file())


def test_there_is_a_page_for_everything(made: Made, run: StoredRun) -> None:
    names = {path.relative_to(made.whole).as_posix() for path in pages(made.whole)}
    assert {f"heads/{head.ref}.html" for head in run.heads} <= names
    assert {f"heads/{head.ref}.fve.html" for head in run.heads} <= names
    assert {f"features/{ref}.html" for ref in run.features} <= names
    assert {"index.html", "about.html", "layers/0.html", "layers/2.html", "score-induction.html"} <= names
    assert {"annotations.html", "layers.html", "published.html", "experiments.html"} <= names
    assert {"layers.by-1.html", "layers.by-2.html", "layers.by-3.html", "published.by-3.html"} <= names
    assert "layers/1.html" not in names
    shown = {name for name in names if name.startswith("experiments/")}
    assert shown == {
        f"experiments/{one}.html" for name, one in made.experiments.items() if name not in UNFINISHED
    }


@pytest.mark.parametrize("which", ["whole", "plain"])
def test_every_link_leads_to_a_file(made: Made, which: str) -> None:
    site: Path = getattr(made, which).resolve()
    is_file = cache(Path.is_file)
    n_links = 0
    for path in pages(site):
        page = BeautifulSoup(path.read_text("utf-8"), "html.parser")  # white space says nothing here
        ids = {tag["id"] for tag in page.find_all(id=True)}
        for tag in page.find_all(True):
            for name in ("href", "src"):
                address = str(tag.get(name) or "")
                if not address or address.startswith("https://"):
                    continue
                n_links += 1
                file, _, fragment = address.partition("#")
                target = Path(os.path.normpath(path.parent / unquote(file))) if file else path
                assert is_file(target), f"{path.name}: {address}"
                assert site in target.parents
                assert not file.startswith("/")
                if fragment and target == path:
                    assert fragment in ids or tag.name == "use", f"{path.name}: {address}"
            assert not [name for name in tag.attrs if name.startswith("hx-")]
            assert tag.name != "form" or tag["method"] == "dialog"
            assert tag.get("type") != "module"  # no browser loads one from a disk
            assert "integrity" not in tag.attrs
        assert not [link.text for link in page.select("header a, footer a") if not link.has_attr("href")]
    assert n_links > 500


def test_the_bar_leads_to_what_there_is(made: Made) -> None:
    def names(site: Path) -> list[str]:
        return [link.text.strip() for link in soup(site / "heads" / "L0H1.html").select("header a[href]")][3:]

    assert names(made.whole) == ["L0H1", "Annotations", "Layers", "Experiments", "About"]
    assert names(made.plain) == ["L0H1", "Experiments", "About"]


def test_rows_are_whole_and_folded(made: Made) -> None:
    rows = soup(made.plain / "heads" / "L0H1.html").select("article.feature-entry")
    assert len(rows) == 10
    assert all(len(row.select("details ol.examples li")) == 10 for row in rows)
    assert [row.find("details").has_attr("open") for row in rows] == [True] + [False] * 9  # type: ignore[union-attr]
    assert all("visually-hidden" not in row.find("summary")["class"] for row in rows[1:])  # type: ignore[index,operator]


def test_a_head_shows_every_submitted_record(made: Made) -> None:
    for name in ("L0H1.html", "L0H1.fve.html"):
        panel = soup(made.whole / "heads" / name).select_one(".panel")
        assert panel is not None
        who = [summary.text for summary in panel.select("details > summary")]
        assert who == ["consensus, submitted", "ada, submitted", f"{ODD_NAME}, submitted"]
        for text in (
            "after commas 10",
            "confidence 4 of 5",
            "it reads a comma",
            "verbs 9",
            "unclear 1",
            "as ben says",
        ):
            assert text in " ".join(panel.text.split()), text
        rows = {str(row["id"]) for row in soup(made.whole / "heads" / name).select("article.feature-entry")}
        for link in panel.select('[aria-label="Groups"] a'):
            feature = f"L0{link.text}"
            assert link["href"] == (f"#{feature}" if feature in rows else f"../features/{feature}.html")
    places = [
        row.text
        for row in soup(made.whole / "heads" / "L0H1.html").select("article.feature-entry .group-field")
    ]
    assert set(places) <= {"", "as agreedafter commasverbs", "as agreedafter commas?unclear"}
    assert "as agreedafter commasverbs" in places
    assert "Nobody has submitted" in soup(made.whole / "heads" / "L0H0.html").select_one(".panel").text  # type: ignore[union-attr]


def test_a_feature_shows_its_labels_and_where_it_is_used(made: Made) -> None:
    page = soup(made.whole / "features" / "L0F3.html")
    assert "a note of a feature" in page.select_one("#notes").text  # type: ignore[union-attr]
    used = [[cell.text for cell in row.select("td")] for row in page.select(".uses tr")]
    assert used == [
        ["L0H1", "after commas; cited: it reads a comma", "ada"],
        ["L0H1", "verbs", ODD_NAME],
        ["L0H1", "as agreed", "consensus"],
    ]
    assert page.select_one(".uses a")["href"] == "../heads/L0H1.html"  # type: ignore[index]


def test_summaries_are_of_each_annotator(made: Made) -> None:
    page = soup(made.whole / "layers.html")
    choices = {link.text: str(link["href"]) for link in page.select('[aria-label="Labels of"] a')}
    assert choices == {
        "ada": "layers.by-1.html",
        ODD_NAME: "layers.by-2.html",
        "consensus": "layers.by-3.html",
    }
    for name, file in choices.items():
        assert soup(made.whole / file).select_one(".lead b").text == name  # type: ignore[union-attr]
    sheet = soup(made.whole / "annotations.html")
    assert [row.text for row in sheet.select(".sheet tbody th")] == ["L0H1"] * 3
    files = [str(link["href"]) for link in sheet.select(".export-bar a")]
    assert files == [f"annotations.{form}" for form in ("csv", "xlsx", "json", "parquet")]
    records = json.loads((made.whole / "annotations.json").read_text("utf-8"))
    assert "after commas" in json.dumps(records)


def test_d16_only_what_was_submitted_is_in_a_bundle(made: Made) -> None:
    unfinished = [made.experiments[name] for name in UNFINISHED]
    for text in (everything(made.whole), everything(made.plain)):
        for hidden in (SECRET, "once shown", "3 of 12 shards", *unfinished):
            assert hidden not in text, hidden
    unpacked = made.whole.parent / "unpacked"
    shutil.unpack_archive(made.whole / "annotations.xlsx", unpacked, "zip")
    assert "after commas" in everything(unpacked)
    assert SECRET not in everything(unpacked)
    assert SECRET.encode() not in (made.whole / "annotations.parquet").read_bytes()


def test_d16_without_annotations_nothing_is_told_to_those_who_are_blind(made: Made) -> None:
    text = everything(made.plain)
    for hidden in ("after commas", "as agreed", "verbs", "a note of a feature", ODD_NAME, "bén"):
        assert hidden not in text, hidden
    names = {path.relative_to(made.plain).as_posix() for path in made.plain.rglob("*")}
    assert not {name for name in names if name.startswith(("annotations", "layers.", "published"))}
    shown = {name for name, one in made.experiments.items() if f"experiments/{one}.html" in names}
    assert made.experiments.keys() - shown == {"known-heads", "polysemanticity", *UNFINISHED}


def test_without_experiments_there_is_no_list_of_them(site_engine: Engine, tmp_path: Path) -> None:
    export_site(site_engine, "tiny", tmp_path / "site")
    assert not (tmp_path / "site" / "experiments.html").exists()
    assert "Experiments" not in soup(tmp_path / "site" / "index.html").select_one("header").text  # type: ignore[union-attr]


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

    monkeypatch.setattr("app.web.static_site.pages.about_page", fail)
    with pytest.raises(OSError, match="disk full"):
        export_site(site_engine, "tiny", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert (out / "mine.txt").read_text() == "mine"


def test_a_long_layer_has_its_parts(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.static_site.pages.N_LISTED", 5)
    monkeypatch.setattr("app.services.features.page.N_LISTED", 5)
    run = publish(engine, make_run())
    export_site(engine, "tiny", tmp_path / "site", labels=False)
    listed: list[str] = []
    file: str | None = "0.html"
    while file is not None:
        page = soup(tmp_path / "site" / "layers" / file)
        listed += [link.text for link in page.select("table.list th a")]
        following = page.select_one("a[rel=next]")
        file = None if following is None else str(following["href"]).rpartition("/")[2]
    assert listed == [f"F{ref.index}" for ref in sorted(run.features) if ref.layer == 0]
