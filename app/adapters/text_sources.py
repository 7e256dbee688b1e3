"""Documents to run a model on: files, folders, a hub dataset, or texts that are already installed.

Reading is lazy and imports no model library, so a source's identity can be checked quickly.
"""

import ast
import hashlib
import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from app.adapters.column_files import COLUMN_SUFFIXES, ColumnFile
from app.adapters.demo_texts import DEMO_TEXTS, DemoTexts
from app.adapters.text_files import (
    HTML_SUFFIXES,
    PACKED_SUFFIXES,
    FieldFile,
    decode,
    file_checksum,
    read_text,
    reading,
    strip_html,
    suffix,
)
from app.errors import InvalidCorpus

PYTHON_DOCS = "python-docs"
INSTALLED_DOCS = "installed-docs"
_TEXT_SUFFIXES = frozenset({".txt", ".md", ".rst", ".pod"}) | HTML_SUFFIXES
_OTHER_SUFFIXES = frozenset({".jsonl", ".json", ".npy"}) | COLUMN_SUFFIXES | PACKED_SUFFIXES
_MIN_DOCSTRING = 200  # shorter docstrings are mostly restated names
_CHARACTERS_PER_PACKAGE = 300_000  # keeps a few generated packages from filling the corpus


@runtime_checkable
class TextSource(Protocol):
    """Documents in a fixed order. `identity` changes when the documents do."""

    @property
    def name(self) -> str: ...

    def documents(self) -> Iterator[str]: ...

    def identity(self) -> str: ...


@runtime_checkable
class NamedDocuments(Protocol):
    """A source whose documents have names, such as those of files."""

    def document_names(self) -> Iterator[str]:
        """The names, in the order of the documents."""
        ...


def open_text_source(dataset: str, text_field: str = "text") -> TextSource:
    """The source that `--dataset` names. Raises InvalidCorpus when there is no such file or folder."""
    if dataset == DEMO_TEXTS:
        return DemoTexts()
    if dataset == PYTHON_DOCS:
        return PythonDocs()
    if dataset == INSTALLED_DOCS:
        return InstalledDocs()
    path = Path(dataset).expanduser()
    if path.is_dir():
        return TextFolder(path)
    if path.is_file():
        return _open_file(path, text_field)
    if dataset.startswith((".", "/", "~")) or path.suffix in _TEXT_SUFFIXES | _OTHER_SUFFIXES:
        raise InvalidCorpus(f"there is no corpus file {dataset}")
    return HubDataset(dataset, text_field)


def _open_file(path: Path, text_field: str) -> TextSource:
    if path.suffix.lower() in COLUMN_SUFFIXES:
        return ColumnFile(path, text_field)
    return JsonLines(path, text_field) if suffix(path) in {".jsonl", ".json"} else TextFile(path)


@dataclass(frozen=True)
class PythonDocs:
    """The running Python's language documentation, as pydoc shows it."""

    name: str = PYTHON_DOCS

    def documents(self) -> Iterator[str]:
        """The topics of pydoc in the order of a hash, so that the first few are a mixture of them all."""
        yield from _topics().values()

    def document_names(self) -> Iterator[str]:
        """The names of the topics."""
        yield from _topics()

    def identity(self) -> str:
        """sha256 of the topics; differs between Python versions."""
        return _checksum_of_texts(self.documents())


def _topics() -> dict[str, str]:
    from pydoc_data.topics import topics

    return dict(sorted(topics.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest()))


@dataclass(frozen=True)
class InstalledDocs:
    """Docstrings of the standard library and of every installed package, read without importing them."""

    name: str = INSTALLED_DOCS

    def documents(self) -> Iterator[str]:
        """The longer docstrings of each module as one document; at most so many of a package, and none twice."""
        library, site = Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))
        seen: set[bytes] = set()
        for package in sorted([*_packages(library), *_packages(site)], key=lambda path: path.name):
            if package.name in {"pydoc_data", "test", "site-packages", "idlelib"}:
                continue
            used = 0
            for path in _python_files(package):
                if used > _CHARACTERS_PER_PACKAGE:
                    break
                text = _docstrings(path, seen)
                used += len(text)
                if text:
                    yield text

    def identity(self) -> str:
        """Names and versions of what is installed."""
        from importlib.metadata import distributions

        names = sorted(f"{d.name}=={d.version}" for d in distributions())
        return hashlib.sha256("\n".join([sys.version, *names]).encode()).hexdigest()


def _packages(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file()):
            yield path


def _python_files(package: Path) -> list[Path]:
    if package.is_file():
        return [package]
    files = sorted(package.rglob("*.py"))
    return [path for path in files if not {"tests", "test", "_vendor"} & set(path.parts)]


def _docstrings(path: Path, seen: set[bytes]) -> str:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return ""  # a template or a file for another Python: no document
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    new = []
    for text in docstrings:
        digest = hashlib.sha256(text[:400].encode(errors="replace")).digest()
        if len(text) >= _MIN_DOCSTRING and digest not in seen:
            seen.add(digest)
            new.append(text)
    return "\n\n".join(new).encode(errors="replace").decode()


@dataclass(frozen=True)
class TextFile:
    """A text file, packed or plain, that is one document.

    Bytes that are not UTF-8 become U+FFFD with a warning; a byte order mark is dropped; line ends stay.
    """

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    def documents(self) -> Iterator[str]:
        """The whole file; HTML without its tags."""
        text = read_text(self.path)
        yield strip_html(text) if suffix(self.path) in HTML_SUFFIXES else text

    def identity(self) -> str:
        """sha256 of the file."""
        return file_checksum(self.path)


@dataclass(frozen=True)
class TextFolder:
    """A folder whose text files, at any depth, are documents."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    def _files(self) -> list[TextFile]:
        paths = sorted(path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink())
        files = [TextFile(p) for p in paths if suffix(p) in _TEXT_SUFFIXES]
        if not files:
            raise InvalidCorpus(f"{self.path} holds no text files ({', '.join(sorted(_TEXT_SUFFIXES))})")
        return files

    def documents(self) -> Iterator[str]:
        """The texts of the files, by name. Raises InvalidCorpus for a folder without text."""
        for file in self._files():
            yield from file.documents()

    def document_names(self) -> Iterator[str]:
        """The paths of the files in the folder."""
        for file in self._files():
            yield file.path.relative_to(self.path).as_posix().encode(errors="replace").decode()

    def identity(self) -> str:
        """sha256 over names and contents."""
        lines = [f"{file.path.relative_to(self.path)} {file.identity()}" for file in self._files()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class JsonLines(FieldFile):
    """A file of JSON lines whose text fields are documents."""

    def documents(self) -> Iterator[str]:
        """The texts, line by line. Raises InvalidCorpus with the number of a line that is no object with the field."""
        with reading(self.path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield self._text(line, f"{self.path}, line {number}")

    def _text(self, line: bytes, where: str) -> str:
        try:
            text = json.loads(decode(line, where))[self.text_field]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidCorpus(f"{where}: not a JSON object with a field {self.text_field!r}") from error
        if not isinstance(text, str):
            raise InvalidCorpus(f"{where}: the field {self.text_field!r} is not text")
        return text.encode(errors="replace").decode()  # a lone surrogate has no UTF-8


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the Hugging Face hub, streamed."""

    name: str
    text_field: str

    def documents(self) -> Iterator[str]:
        """The text field of the train split. Raises InvalidCorpus naming the dataset and the cause."""
        from datasets import load_dataset

        try:
            rows: Any = load_dataset(self.name, split="train", streaming=True)
            for row in rows:
                yield str(row[self.text_field])
        except KeyError as error:
            raise InvalidCorpus(f"the dataset {self.name} has no column {self.text_field!r}") from error
        except Exception as error:  # the hub client raises many types; all mean the dataset cannot be had
            from app.adapters.hub import hub_cause

            why = hub_cause(error, self.name)
            raise InvalidCorpus(
                f"the dataset {self.name} could not be streamed from the Hugging Face hub: {why}"
            ) from error

    def identity(self) -> str:
        """The name and field: the hub's content is taken as fixed for a name."""
        return hashlib.sha256(f"hub {self.name} {self.text_field}".encode()).hexdigest()


def _checksum_of_texts(texts: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode(errors="replace")).digest())
    return digest.hexdigest()
