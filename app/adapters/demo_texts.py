"""The texts that ship with the package, in one order that mixes their kinds.

Each kind is a file. A line `%%% what it is about` begins a text.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidCorpus

DEMO_TEXTS = "demo-texts"
FOLDER = Path(__file__).parents[1] / "embedded" / "texts"
_TITLE = re.compile(r"^%%% (.+)\n", re.MULTILINE)


@dataclass(frozen=True)
class KindText:
    """One text of a kind, and what it is about."""

    kind: str
    title: str
    text: str

    @property
    def name(self) -> str:
        """Kind and title: `letter: tenant reports a faulty boiler`."""
        return f"{self.kind}: {self.title}"


@dataclass(frozen=True)
class DemoTexts:
    """The texts that ship, mixed so that any beginning of them holds the same share of every kind."""

    folder: Path = FOLDER
    name: str = DEMO_TEXTS

    def documents(self) -> Iterator[str]:
        """The texts. Raises InvalidCorpus where the installation lacks them."""
        return (each.text for each in self.mixed())

    def document_names(self) -> Iterator[str]:
        """The kind of each text, and what it is about."""
        return (each.name for each in self.mixed())

    def identity(self) -> str:
        """sha256 of names and texts in their order."""
        texts = [(each.name, each.text) for each in self.mixed()]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()

    def mixed(self) -> list[KindText]:
        """The texts, by the share of its kind's characters that comes before a text."""
        paths = sorted(self.folder.glob("*.txt"))
        if not paths:
            raise InvalidCorpus("this installation lacks the demo's texts; install head-atlas again")
        placed = [place for path in paths for place in _places(path)]
        return [text for _, text in sorted(placed, key=lambda place: place[0])]


def _places(path: Path) -> Iterator[tuple[float, KindText]]:
    """Each text of a kind with the share of characters before it, from 0 to 1."""
    _, *parts = _TITLE.split(path.read_text(encoding="utf-8"))
    texts = [
        KindText(path.stem, title, part.strip("\n"))
        for title, part in zip(parts[::2], parts[1::2], strict=True)
    ]
    n_characters, before = sum(len(each.text) for each in texts), 0
    for each in texts:
        yield before / n_characters, each
        before += len(each.text)
