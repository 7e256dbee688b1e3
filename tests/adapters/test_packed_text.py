"""Text in packed files and in columns of tables, and files that hold no text."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from app.adapters.text_sources import open_text_source
from app.errors import InvalidCorpus
from tests.support.text_files import documents_of, write

ROWS = "\n".join(json.dumps({"text": f"document {i}"}) for i in range(50)).encode()
DOCUMENTS = [f"document {i}" for i in range(50)]


def _zstd(content: bytes) -> bytes:
    buffer = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
    return buffer.getvalue().to_pybytes()


PACKINGS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": _zstd}


@pytest.mark.parametrize("packing", PACKINGS)
def test_packed_text_is_unpacked_under_any_name(tmp_path: Path, packing: str) -> None:
    packed = PACKINGS[packing](ROWS)
    assert documents_of(write(tmp_path / f"a.jsonl.{packing}", packed)) == DOCUMENTS
    assert documents_of(write(tmp_path / "a.jsonl", packed)) == DOCUMENTS
    assert documents_of(write(tmp_path / f"a.txt.{packing}", PACKINGS[packing](b"caf\xc3\xa9"))) == ["café"]


@pytest.mark.parametrize("packing", ["bz2", "xz", "zst"])
def test_damaged_packed_text_is_one_sentence(tmp_path: Path, packing: str) -> None:
    packed = PACKINGS[packing](b" ".join(b"%d" % i for i in range(20_000)))
    path = write(tmp_path / f"a.txt.{packing}", packed[: len(packed) // 2])
    with pytest.raises(InvalidCorpus, match=f"^{path} could not be read"):
        documents_of(path)


def test_a_column_of_parquet_and_arrow_is_read(tmp_path: Path) -> None:
    table = pyarrow.table({"id": range(50), "text": DOCUMENTS, "other": [None, *DOCUMENTS[1:]]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    with (
        pyarrow.OSFile(str(tmp_path / "a.arrow"), "wb") as file,
        pyarrow.ipc.new_file(file, table.schema) as sink,
    ):
        sink.write_table(table)
    with (
        pyarrow.OSFile(str(tmp_path / "stream.arrow"), "wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as sink,
    ):
        sink.write_table(table)
    identities = set()
    for name in ("a.parquet", "a.arrow", "stream.arrow"):
        path = str(tmp_path / name)
        assert documents_of(path) == DOCUMENTS
        assert list(open_text_source(path, "other").documents()) == DOCUMENTS[1:]
        identities |= {open_text_source(path, field).identity() for field in ("text", "other")}
        with pytest.raises(
            InvalidCorpus, match="no column 'words', its columns are id, text, other; name one"
        ):
            list(open_text_source(path, "words").documents())
        with pytest.raises(InvalidCorpus, match="the column 'id' is int64, not text"):
            list(open_text_source(path, "id").documents())
    assert len(identities) == 6


OTHER_FILES = {
    "a.zip": b"PK\x03\x04" + ROWS,
    "a.pdf": b"%PDF-1.7\n" + ROWS,
    "utf16.txt": "hello world".encode("utf-16"),
    "utf16-without-mark.txt": "hello world".encode("utf-16-le"),
    "utf16-big.txt": "hello world".encode("utf-16-be"),
    "utf32.txt": "hello world".encode("utf-32"),
    "pixels.txt": bytes(range(256)) * 4,
    "a.sqlite.txt": b"SQLite format 3\x00" + bytes(100),
    "a.tar": bytes(257) + b"ustar" + bytes(100),
    "table.txt": b"PAR1" + bytes(range(256)) + b"PAR1",
    "a.jsonl": "{}".encode("utf-16") * 9,
    "packed.txt.gz": gzip.compress(b"%PDF-1.7" + ROWS),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_text_is_refused_and_what_is_read_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, OTHER_FILES[name])
    with pytest.raises(InvalidCorpus, match=f"^{path} is .*; what is read is UTF-8 text"):
        documents_of(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_columns_are_one_sentence(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"PAR1" + bytes(range(256)) * 4 + b"PAR1")
    with pytest.raises(InvalidCorpus, match=f"^{path} is not a readable"):
        documents_of(path)
