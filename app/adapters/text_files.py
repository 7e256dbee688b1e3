"""Reading text files that may be packed, damaged, HTML or not UTF-8."""

import bz2
import gzip
import hashlib
import logging
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from io import BufferedReader
from pathlib import Path
from typing import Any

from app.errors import InvalidCorpus
from app.paths import file_sha256

HTML_SUFFIXES = frozenset({".html", ".htm"})
PACKED_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd"})
READABLE = (
    "what is read is UTF-8 text and JSON lines, also packed (.gz .bz2 .xz .zst), a column of .parquet or .arrow, "
    "and .npy of token ids"
)
_PACKED_MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\x00", ".zst": b"\x28\xb5\x2f\xfd"}
_OTHER_MAGIC = {
    "a zip archive (or a file in one: .npz, .docx, .pt)": b"PK\x03\x04",
    "a PDF": b"%PDF",
    "UTF-32": b"\xff\xfe\x00\x00",
    "UTF-16": b"\xff\xfe",
    "UTF-16, big-endian": b"\xfe\xff",
    "a 7z archive": b"7z\xbc\xaf",
    "a rar archive": b"Rar!",
    "a SQLite database": b"SQLite format 3\x00",
    "a Parquet file under another name": b"PAR1",
    "an Arrow file under another name": b"ARROW1",
    "an array of numpy": b"\x93NUMPY",
}
_HEAD = 2**13  # bytes by which a file is told from text
_MIN_TELLING = 8  # of fewer, odd ones say nothing
_MAX_CONTROLS = 0.05
_CHUNK = 2**20
log = logging.getLogger(__name__)
Readable = BufferedReader | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile


def suffix(path: Path) -> str:
    """The kind of text in a file, in lower case: `.txt` of a.TXT and of a.txt.gz."""
    name = Path(path.name.lower())
    return name.with_suffix("").suffix if name.suffix in PACKED_SUFFIXES else name.suffix


@contextmanager
def reading(path: Path) -> "Iterator[Readable]":
    """The file's bytes, unpacked. Raises InvalidCorpus for what is no text, or saying how far it could be read."""
    try:
        with _open(path) as file:
            try:
                refuse_other_files(file.peek(_HEAD), path)
                yield file
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise InvalidCorpus(f"{path} could not be read after {file.tell()} bytes: {error}") from error
    except OSError as error:
        raise InvalidCorpus(f"{path} could not be read: {error}") from error


def _open(path: Path) -> "Readable":
    """Open a file by its suffix, or by what it begins with where its name does not say."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    packing = path.suffix.lower()
    if packing not in PACKED_SUFFIXES:
        packing = next((kind for kind, magic in _PACKED_MAGIC.items() if head.startswith(magic)), "")
    if packing == ".gz":
        return gzip.open(path)
    if packing == ".bz2":
        return bz2.open(path)
    if packing in {".xz", ".lzma"}:
        return lzma.open(path)
    return BufferedReader(_zstd(path)) if packing in {".zst", ".zstd"} else path.open("rb")


def _zstd(path: Path) -> Any:
    """A stream of the unpacked bytes. Raises OSError for a file that ends early, which pyarrow alone passes over."""
    try:
        import pyarrow
    except ImportError as error:
        raise InvalidCorpus(
            f"{path} is packed with zstd, which pyarrow reads: pip install pyarrow"
        ) from error
    mark = b"the whole file"
    frame = pyarrow.compress(mark, codec="zstd", asbytes=True)
    with pyarrow.CompressedInputStream(pyarrow.BufferReader(path.read_bytes() + frame), "zstd") as stream:
        tail = b""
        while part := stream.read(_CHUNK):
            tail = (tail + part)[-len(mark) :]
    if tail != mark:
        raise OSError("the packed data end early")
    return pyarrow.input_stream(str(path), compression="zstd")


def refuse_other_files(head: bytes, path: Path) -> None:
    """Raise InvalidCorpus, saying what is read, for a file whose first bytes are not those of UTF-8 text."""
    kind = next((name for name, magic in _OTHER_MAGIC.items() if head.startswith(magic)), None)
    if kind is None and head[257:262] == b"ustar":
        kind = "a tar archive"
    n_odd = sum(byte < 32 and byte not in b"\t\n\v\f\r\x1b\b" for byte in head)
    if kind is None and len(head) >= _MIN_TELLING and n_odd > _MAX_CONTROLS * len(head):
        kind = "UTF-16" if head.count(0) > n_odd / 2 and _looks_utf16(head) else "no text"
    if kind is not None:
        remedy = "; make it UTF-8: iconv -f UTF-16 -t UTF-8" if kind.startswith("UTF") else ""
        raise InvalidCorpus(f"{path} is {kind}{remedy}; {READABLE}")


def _looks_utf16(head: bytes) -> bool:
    """Whether the bytes at odd or at even places are nearly all 0."""
    return max(half.count(0) / max(len(half), 1) for half in (head[::2], head[1::2])) > 0.8


def read_text(path: Path) -> str:
    """The whole file as text."""
    with reading(path) as file:
        data = b"".join(iter(lambda: file.read1(_CHUNK), b""))
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """The text of UTF-8 bytes without a byte order mark; other bytes become U+FFFD, and a warning counts them."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", errors="replace")
        n_replaced = text.count("\ufffd") - data.count("\ufffd".encode())
        log.warning("%s: %d places that are not UTF-8 became U+FFFD", where, n_replaced)
        return text


@dataclass(frozen=True)
class FieldFile:
    """A file with a document in one field of each of its records."""

    path: Path
    text_field: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def identity(self) -> str:
        """sha256 of the file and the field."""
        return hashlib.sha256(f"{file_checksum(self.path)} {self.text_field}".encode()).hexdigest()


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
