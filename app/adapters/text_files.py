"""Reading text files that may be packed, damaged, HTML or not UTF-8."""

import gzip
import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from io import BufferedReader
from pathlib import Path

from app.errors import InvalidCorpus
from app.paths import file_sha256

HTML_SUFFIXES = frozenset({".html", ".htm"})
_CHUNK = 2**20
log = logging.getLogger(__name__)


def suffix(path: Path) -> str:
    """The kind of text in a file, in lower case: `.txt` of a.TXT and of a.txt.gz."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


@contextmanager
def reading(path: Path) -> "Iterator[BufferedReader | gzip.GzipFile]":
    """The file's bytes, unpacked. Raises InvalidCorpus saying how far a damaged file could be read."""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            try:
                yield file
            except (OSError, EOFError, zlib.error) as error:
                raise InvalidCorpus(f"{path} could not be read after {file.tell()} bytes: {error}") from error
    except OSError as error:
        raise InvalidCorpus(f"{path} could not be read: {error}") from error


def read_text(path: Path) -> str:
    """The whole file as text."""
    with reading(path) as file:
        data = b"".join(iter(lambda: file.read1(_CHUNK), b""))
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """UTF-8 without its byte order mark; what is not UTF-8 becomes U+FFFD, with a warning that counts it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", errors="replace")
        n_replaced = text.count("\ufffd") - data.count("\ufffd".encode())
        log.warning("%s: %d places that are not UTF-8 became U+FFFD", where, n_replaced)
        return text


def file_checksum(path: Path) -> str:
    """sha256 of the file. Raises InvalidCorpus where it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise InvalidCorpus(f"{path} could not be read: {error}") from error


class _TextOfHtml(HTMLParser):
    _SKIPPED = frozenset({"script", "style", "head", "nav"})
    _BLOCKS = frozenset({"p", "div", "li", "h1", "h2", "h3", "h4", "pre", "tr", "dt", "dd", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "body":  # the end of the head may be left out
            self._depth = 0
        self._depth += tag in self._SKIPPED
        if tag in self._BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag in self._SKIPPED and self._depth > 0

    def handle_data(self, data: str) -> None:
        if not self._depth:
            self.parts.append(data)


def strip_html(text: str) -> str:
    """The words of an HTML page, a line a block; no markup, scripts, styles or navigation."""
    parser = _TextOfHtml()
    parser.feed(text)
    parser.close()
    lines = (line.rstrip() for line in "".join(parser.parts).splitlines())
    return "\n".join(line for line in lines if line)
