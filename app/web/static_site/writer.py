"""Export of an atlas as files to open from a disk: the server's pages with links to each other, no forms."""

import os
import shutil
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from app.errors import AppError
from app.paths import frontend_dir, naming
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER, PUBLIC
from app.store.atlas.reads import get_live_run
from app.store.database.engine import Engine, read_session
from app.web.render import Renderer
from app.web.static_site.pages import N_FEATURES, Bundle

# What an address may say that the one file of its page has anyway: which row is open, which head a feature is seen by.
_IMPLIED: Mapping[str, Mapping[str, str | None]] = {
    "heads": {"k": str(N_FEATURES), "rank": "decoder_weight", "open": None},
    "features": {"head": None},
    "annotations": {"page": "1"},
}


class FolderInUse(AppError):
    """The output folder is not empty."""


def export_site(engine: Engine, slug: str, out: Path, labels: bool = True) -> int:
    """Write the atlas to a new folder, all or nothing, and return the number of files.

    With labels it includes all submitted annotations, but no drafts; without, no annotations at all.
    Raises NotFound for an atlas that is not published, FolderInUse for a folder that is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FolderInUse(f"{out} exists and is not an empty folder; give a new one with --out")
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        with read_session(engine) as session:
            viewer = PUBLIC if labels else NO_VIEWER
            n_files = _write(AtlasContext(session, get_live_run(session, slug), viewer), partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return n_files


def _write(context: AtlasContext, folder: Path) -> int:
    files = tuple(Bundle(context).files())
    links = SiteLinks(context.run.slug, {file.address: file.name for file in files})

    @cache
    def renderer(depth: int) -> Renderer:
        return Renderer(frontend_dir(), address_of=partial(links.address_of, depth=depth))

    shutil.copytree(
        frontend_dir() / "static", folder / "static", ignore=shutil.ignore_patterns("vendor", "*.md")
    )
    n_static = sum(path.is_file() for path in folder.rglob("*"))
    for file in files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = file.build()
        if not isinstance(content, bytes):
            html = renderer(file.name.count("/")).html(file.template, content)
            content = html.encode("utf-8", "replace")
        with naming(path):
            path.write_bytes(content)
    return n_static + len(files)


class SiteLinks:
    """The files of the export that the URLs of the server lead to."""

    def __init__(self, slug: str, files: Mapping[str, str]) -> None:
        self._front = f"/{slug}"
        self._files = {_place(address): name for address, name in files.items()}

    def file_of(self, address: str) -> str | None:
        """The file for a URL of this site; None if the export has none."""
        path = urlsplit(address).path
        if path.startswith("/static/"):
            return None if path.startswith("/static/vendor/") else path[1:]
        return self._files.get(_place(self._front if path == "/" else address))

    def address_of(self, url: str, depth: int) -> str | None:
        """The address of the file for a URL, on a page that lies `depth` folders down; None if there is no file.

        Places of the page itself and other sites keep their address.
        """
        if url.startswith(("#", "https:")):
            return url
        before, has_fragment, fragment = url.partition("#")
        file = self.file_of(before)
        return None if file is None else f"{'../' * depth}{file}{has_fragment}{fragment}"


def _place(address: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """A key for a URL: its path and its parameters without those that the export ignores, in any order."""
    parts = urlsplit(address)
    kind = parts.path.split("/")[2:3]
    implied = _IMPLIED.get(kind[0], {}) if kind else {}
    query = parse_qsl(parts.query, keep_blank_values=True)
    return parts.path, frozenset(
        (key, value) for key, value in query if key not in implied or implied[key] not in (None, value)
    )
