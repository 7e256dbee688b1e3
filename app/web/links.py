"""Functions by which templates link pages and load files: on a server by URL, in an export by file name."""

import base64
import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from markupsafe import Markup, escape

from app.web.scripts import sent_content


class StaticFiles:
    """URLs and integrity hashes of static files, derived from their content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def digests(self) -> dict[str, bytes]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {
            path.relative_to(self.folder).as_posix(): hashlib.sha256(sent_content(path)).digest()
            for path in files
        }

    def url(self, name: str) -> str:
        """A URL that changes with the file's content, so that browsers may cache it for good."""
        return f"/static/{name}?v={self.digests[name].hex()[:12]}"

    def integrity(self, name: str) -> str:
        return "sha256-" + base64.b64encode(self.digests[name]).decode()


class Links:
    """The functions by which templates write links, stylesheets and scripts.

    address_of: a function from a URL of the server to an address in the export, or to None if the export lacks it.
    Without it, links are the server's URLs, and files are pinned to their content by integrity hashes, which
    browsers cannot check for a file on a disk.
    """

    def __init__(self, static: StaticFiles, address_of: Callable[[str], str | None] | None = None) -> None:
        self._static = static
        self._address_of = address_of

    def href(self, url: str) -> Markup:
        """The attribute for a link to a URL; empty if the export lacks the page, so that an `a` is plain text."""
        return self._attribute("href", url)

    def data_url(self, name: str, url: str) -> Markup:
        """The attribute that gives a URL to a script, as `dataset.NAME`; empty if the export lacks the page."""
        return self._attribute(f"data-{name}", url)

    def stylesheet(self, name: str) -> Markup:
        """The element for a file of CSS."""
        href = self._attribute("href", self._static.url(name))
        return Markup(f'<link rel="stylesheet" {href}{self._integrity(name)}>')  # noqa: S704

    def script(self, name: str, *, defer: bool = False, module: bool = False) -> Markup:
        """The element for a script; empty where the script is not there."""
        src = self._attribute("src", self._static.url(name))
        before, after = 'type="module" ' if module else "", " defer" if defer else ""
        return Markup(f"<script {before}{src}{self._integrity(name)}{after}></script>") if src else src  # noqa: S704

    def _attribute(self, name: str, url: str) -> Markup:
        address = url if self._address_of is None else self._address_of(url)
        return Markup() if address is None else Markup(f'{name}="{escape(address)}"')  # noqa: S704

    def _integrity(self, name: str) -> str:
        return f' integrity="{self._static.integrity(name)}"' if self._address_of is None else ""
