"""One atlas as plain files that open from a disk without a server: the same pages, with links between files."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.domain.records import RANKINGS, Ranking
from app.domain.refs import FeatureRef, HeadRef, InvalidReference
from app.errors import AppError
from app.paths import frontend_dir
from app.services.about import about_page
from app.services.atlas_pages import AtlasView, atlas_page
from app.services.atlas_parts import Colouring
from app.services.export import SheetFormat, export_annotations
from app.services.feature_pages import feature_page, layer_page
from app.services.pages import HeadQuestion, Reading, head_page
from app.services.run_cache import RunCache
from app.services.visibility import Viewer
from app.store.dashboards import get_live_run
from app.store.engine import read_session
from app.store.features import list_features
from app.web.render import Page, Renderer

ANNOTATION_FILES: tuple[SheetFormat, ...] = ("csv", "json")
COLOURS: tuple[Colouring, ...] = ("type", "groups", "progress")
N_FEATURES = 10  # of a head; its page shows the link to 20 without a target
_PAGE = 200
_LINK = re.compile(r'\s(href|src)="([^"]*)"')
_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_ATTRIBUTES = re.compile(r'\s(?:integrity|data-atlas|data-by)="[^"]*"')
_HTMX = re.compile(r'<script src="[^"]*vendor/htmx[^"]*"[^>]*></script>\n?')
_ROW = re.compile(r'<details open><summary class="vh">')


class FolderInUse(AppError):
    """The folder to write to holds something already."""


def export_site(engine: Any, slug: str, out: Path, viewer: Viewer | None = None) -> int:
    """Write the atlas to a new folder and return the number of files; all of them, or none.

    With a viewer, what they may see of annotations is in it: on the atlas, and as files of every record.

    Raises NotFound for an atlas that is not published, FolderInUse for a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderInUse(f"{out} exists and is not an empty folder; give a new one with --out")
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    try:
        with read_session(engine) as session:
            n_files = _write(Reading(session, get_live_run(session, slug), RunCache()), partial, viewer)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return n_files


def _write(reading: Reading, folder: Path, viewer: Viewer | None) -> int:
    renderer = Renderer(frontend_dir())
    stored = frozenset(_stored_features(reading))
    site = SiteFiles(reading.run.slug, stored)
    shutil.copytree(
        frontend_dir() / "static", folder / "static", ignore=shutil.ignore_patterns("vendor", "*.md")
    )
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    for name, template, page in _pages(reading, stored, viewer):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(site.linked(renderer.html(template, page), name), "utf-8", "replace")
        n_files += 1
    if viewer is not None:
        for file_format in ANNOTATION_FILES:
            made = export_annotations(reading.session, reading.run, viewer, file_format)
            (folder / f"annotations.{file_format}").write_bytes(made.data)
            n_files += 1
    return n_files


def _stored_features(reading: Reading) -> Iterator[FeatureRef]:
    for sae in reading.run.record.saes:
        last: FeatureRef | None = None
        while records := list_features(reading.session, reading.run, sae.layer, limit=_PAGE, after=last):
            yield from (record.ref for record in records)
            last = records[-1].ref


def _pages(
    reading: Reading, stored: frozenset[FeatureRef], viewer: Viewer | None
) -> Iterator[tuple[str, str, Page]]:
    """(file, template, page) of every page."""
    first = atlas_page(reading, None, viewer=viewer)
    yield "index.html", "pages/atlas.html", first
    for score in first.score_names:
        yield _atlas_file(score), "pages/atlas.html", atlas_page(reading, score, viewer=viewer)
    for colour in COLOURS:
        page = atlas_page(reading, None, view=AtlasView(colour), viewer=viewer)
        yield _colour_file(colour), "pages/atlas.html", page
    for head in (head.ref for head in reading.heads):
        for rank in RANKINGS:
            question = HeadQuestion(head, rank, N_FEATURES, open_all=True)
            yield _head_file(head, rank), "pages/head.html", head_page(reading, question)
    for sae in reading.run.record.saes:
        after: int | None = None
        while True:
            page = layer_page(reading, sae.layer, after)
            yield _layer_file(sae.layer, after), "pages/layer.html", page
            if page.following is None:
                break
            after = page.following
    for ref in sorted(stored):
        yield f"features/{ref}.html", "pages/feature.html", feature_page(reading, ref, None)
    yield "about.html", "pages/about.html", about_page()


def _colour_file(colour: str) -> str:
    return f"colour-{colour}.html"


def _atlas_file(score: str | None) -> str:
    return "index.html" if score is None else f"score-{score}.html"


def _head_file(head: HeadRef, rank: Ranking) -> str:
    return f"heads/{head}.html" if rank == "decoder_weight" else f"heads/{head}.{rank}.html"


def _layer_file(layer: int, after: int | None) -> str:
    return f"layers/{layer}.html" if after is None else f"layers/{layer}.after-{after}.html"


class SiteFiles:
    """Which file an address of the server became, and pages with their links led there."""

    def __init__(self, slug: str, features: frozenset[FeatureRef]) -> None:
        self._slug = slug
        self._features = features

    def file_of(self, address: str) -> str | None:
        """The file of an address of this site, None where the bundle has none."""
        parts = urlsplit(address)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        match parts.path.strip("/").split("/"):
            case ["static", *rest] if rest[:1] != ["vendor"]:
                return "/".join(["static", *rest])
            case ["about"]:
                return "about.html"
            case [""]:
                return _atlas_file(None)
            case [slug] if slug == self._slug:
                return self._atlas(query)
            case [slug, kind, name] if slug == self._slug:
                return self._file_below(kind, name, query)
        return None

    def _atlas(self, query: dict[str, str]) -> str | None:
        """Filters and other orders have no file: they are for the server to answer."""
        if query.keys() - {"score", "colour"}:
            return None
        colour = query.get("colour", "score")
        return _atlas_file(query.get("score")) if colour == "score" else _colour_file(colour)

    def _file_below(self, kind: str, name: str, query: dict[str, str]) -> str | None:
        if kind == "layers" and name.isdecimal():
            return _layer_file(int(name), int(query["after"]) if "after" in query else None)
        try:
            if kind == "heads":
                rank: Ranking = "fve" if query.get("rank") == "fve" else "decoder_weight"
                fits = query.get("k", str(N_FEATURES)) == str(N_FEATURES) and "group" not in query
                return _head_file(HeadRef.parse(name), rank) if fits else None
            if kind == "features":
                return f"features/{name}.html" if FeatureRef.parse(name) in self._features else None
        except InvalidReference:
            return None
        return None

    def linked(self, html: str, name: str) -> str:
        """The page as a file of that name: no forms, nothing to load later, and links to files that exist."""
        up = "../" * (len(PurePosixPath(name).parts) - 1)

        def lead(match: re.Match[str]) -> str:
            attribute, address = match[1], match[2].replace("&amp;", "&")
            if address.startswith(("#", "https:")):
                return match[0]
            file = self.file_of(address.partition("#")[0])
            fragment = "#" + address.partition("#")[2] if "#" in address else ""
            return "" if file is None else f' {attribute}="{up}{file}{fragment}"'

        html = _ATTRIBUTES.sub("", _HTMX.sub("", _FORM.sub("", html)))
        html = _LINK.sub(lead, html)
        rows = iter(_ROW.findall(html))
        first = next(rows, None)
        if first is None:
            return html
        start = html.index(first) + len(first)
        return html[:start] + html[start:].replace(first, '<details><summary class="lk">')
