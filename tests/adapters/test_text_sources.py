"""Documents of every kind of source, and one sentence for each kind of damage."""

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from app.adapters.demo_texts import DEMO_TEXTS, DemoTexts
from app.adapters.text_sources import (
    INSTALLED_DOCS,
    PYTHON_DOCS,
    HubDataset,
    InstalledDocs,
    JsonLines,
    PythonDocs,
    TextFile,
    TextFolder,
    open_text_source,
)
from app.errors import InvalidCorpus
from tests.support.text_files import documents_of, write


def test_each_name_opens_its_kind_of_source(tmp_path: Path) -> None:
    text = write(tmp_path / "a.txt", b"x")
    lines = write(tmp_path / "a.jsonl.gz", b"")
    kinds = {
        DEMO_TEXTS: DemoTexts(),
        PYTHON_DOCS: PythonDocs(),
        INSTALLED_DOCS: InstalledDocs(),
        str(text): TextFile(text),
        str(lines): JsonLines(lines, "text"),
        str(tmp_path): TextFolder(tmp_path),
        "org/data": HubDataset("org/data", "text"),
    }
    for name, source in kinds.items():
        assert open_text_source(name) == source


@pytest.mark.parametrize(
    "name", ["missing.txt", "missing.jsonl", "missing.npy", "a.txt.gz", "./missing", "/no/x"]
)
def test_a_missing_file_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidCorpus, match=f"^there is no corpus file {name}$"):
        open_text_source(name)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        ("café".encode(), "café"),
        (b"\xef\xbb\xbfmarked", "marked"),
        (b"a\x00b", "a\x00b"),
        (b"one\r\ntwo\rthree\n", "one\r\ntwo\rthree\n"),
    ],
)
def test_a_text_file_is_one_document(tmp_path: Path, content: bytes, text: str) -> None:
    assert documents_of(write(tmp_path / "a.txt", content)) == [text]
    assert documents_of(write(tmp_path / "a.txt.gz", gzip.compress(content))) == [text]


def test_a20_what_is_not_utf8_is_replaced_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.txt", b"ok \xff\xfe ok \xef\xbf\xbd")
    with caplog.at_level(logging.WARNING):
        assert documents_of(path) == ["ok \ufffd\ufffd ok \ufffd"]
    assert caplog.messages == [f"{path}: 2 places that are not UTF-8 became U+FFFD"]


def _damaged(name: str) -> bytes:
    whole = gzip.compress(b" ".join(b"%d" % i for i in range(200_000)), mtime=0)
    return {
        "truncated": whole[: len(whole) // 2],
        "junk": b"this is not gzip",
        "corrupt": whole[:20] + bytes(byte ^ 0xFF for byte in whole[20:60]) + whole[60:],
        "checksum": whole[:-8] + b"\0\0\0\0" + whole[-4:],
    }[name]


@pytest.mark.parametrize("damage", ["truncated", "junk", "corrupt", "checksum"])
@pytest.mark.parametrize("suffix", [".txt.gz", ".jsonl.gz"])
def test_a_damaged_gzip_file_says_how_far_it_was_read(tmp_path: Path, damage: str, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", _damaged(damage))
    with pytest.raises(InvalidCorpus, match=rf"^{path}(, line 1: not a JSON|.* read after \d+ bytes: .+)"):
        documents_of(path)


def test_a20_a_truncated_file_gives_the_offset(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt.gz", _damaged("truncated"))
    with pytest.raises(InvalidCorpus, match="end-of-stream") as caught:
        documents_of(path)
    assert int(str(caught.value).split(" after ")[1].split()[0]) > 0


@pytest.mark.parametrize("make", ["missing", "folder"])
def test_an_unreadable_file_is_named(tmp_path: Path, make: str) -> None:
    path = tmp_path / "gone.txt"
    if make == "folder":
        path.mkdir()
    for read in (lambda: list(TextFile(path).documents()), TextFile(path).identity):
        with pytest.raises(InvalidCorpus, match=rf"^{path} could not be read: "):
            read()


def test_html_loses_its_markup(tmp_path: Path) -> None:
    page = (
        "<html><head><title>T</title><style>p {}</style><body><nav>menu</nav><h1>Head</h1><p>One &amp; <b>two</b>"
        "<script>if (a < b) alert()</script><p>x < y<br>tail &am"
    )
    assert documents_of(write(tmp_path / "a.html", page.encode())) == ["Head\nOne & two\nx < y\ntail &am"]
    assert documents_of(write(tmp_path / "A.HTM.gz", gzip.compress(b"<p>x</p>"))) == ["x"]
    assert documents_of(write(tmp_path / "notes.html.txt", b"<p>x</p>")) == ["<p>x</p>"]


def test_a_folder_gives_its_text_files_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b.md", b"b")
    write(tmp_path / "a" / "c.txt", b"c")
    write(tmp_path / "a" / "image.png", b"\x89PNG")
    (tmp_path / "link.txt").symlink_to(tmp_path / "b.md")
    assert documents_of(tmp_path) == ["c", "b"]
    source = TextFolder(tmp_path)
    before = source.identity()
    assert before == TextFolder(tmp_path).identity()
    write(tmp_path / "b.md", b"B")
    assert source.identity() != before


def test_the_folder_here_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_text_source(".").name == tmp_path.name


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match=f"^{tmp_path} holds no text files"):
        documents_of(tmp_path)


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        b'\xef\xbb\xbf{"text": "one"}',
        b"",
        b'{"text": "two\\nlines", "other": 1}\r',
        b'{"text": "\\ud83d"}',
    ]
    path = write(tmp_path / "a.jsonl", b"\n".join(rows))
    assert documents_of(path) == ["one", "two\nlines", "?"]
    other = open_text_source(str(path), text_field="other")
    assert other.identity() != open_text_source(str(path)).identity()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not a JSON object with a field 'text'"),
        ("[1]", "not a JSON object with a field 'text'"),
        ('{"body": "x"}', "not a JSON object with a field 'text'"),
        ('{"text": null}', "the field 'text' is not text"),
        ('{"text": 3}', "the field 'text' is not text"),
        ("[" * 200_000, "not a JSON object with a field 'text'"),
    ],
)
def test_a_bad_line_is_numbered(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"text": "fine"}}\n\n{line}\n'.encode())
    documents = open_text_source(str(path)).documents()
    assert next(documents) == "fine"
    with pytest.raises(InvalidCorpus, match=f"^{path}, line 3: {problem}$"):
        next(documents)


def test_json_lines_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps({"text": "x" * 1000}) + "\n" for _ in range(2000))
    import tracemalloc

    documents = open_text_source(str(path)).documents()
    tracemalloc.start()
    assert sum(len(text) for text in documents) == 2_000_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


def test_python_docs_are_the_same_each_time() -> None:
    source = PythonDocs()
    documents = list(source.documents())
    assert documents == list(source.documents())
    assert sum(map(len, documents)) > 300_000
    assert source.identity() == PythonDocs().identity()
    assert len(source.identity()) == 64


def test_installed_docs_are_long_and_never_repeat() -> None:
    source = InstalledDocs()
    documents = [text for text, _ in zip(source.documents(), range(60), strict=False)]
    again = [text for text, _ in zip(source.documents(), range(60), strict=False)]
    assert documents == again
    assert all(len(text) >= 200 for text in documents)
    assert len(set(documents)) == len(documents)
    assert source.identity() == InstalledDocs().identity()


def test_a_hub_dataset_gives_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(name: str, **options: Any) -> list[dict[str, str]]:
        asked.append((name, options))
        return [{"body": "one"}, {"body": "two"}]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert list(HubDataset("org/data", "body").documents()) == ["one", "two"]
    assert asked == [("org/data", {"split": "train", "streaming": True})]
    with pytest.raises(InvalidCorpus, match="the dataset org/data has no column 'text'"):
        list(HubDataset("org/data", "text").documents())
    assert HubDataset("org/data", "text").identity() != HubDataset("org/data", "body").identity()
