"""Texts of eight kinds that the embedded model wrote, in one order that mixes the kinds."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidCorpus

DEMO_TEXTS = "demo-texts"
FOLDER = Path(__file__).parents[1] / "embedded" / "texts"


@dataclass(frozen=True)
class DemoTexts:
    """The texts that ship, mixed so that any beginning of them holds the same share of every kind."""

    folder: Path = FOLDER
    name: str = DEMO_TEXTS

    def documents(self) -> Iterator[str]:
        """The texts. Raises InvalidCorpus where the installation lacks them."""
        return (text for _, text in self._mixed())

    def document_names(self) -> Iterator[str]:
        """The kind of each text and its number in that: `letter 12`."""
        return (name for name, _ in self._mixed())

    def identity(self) -> str:
        """sha256 of names and texts in their order."""
        return hashlib.sha256(json.dumps(self._mixed()).encode()).hexdigest()

    def _mixed(self) -> list[tuple[str, str]]:
        """Name and text, by the share of its kind's characters that comes before a text."""
        paths = sorted(self.folder.glob("*.jsonl"))
        if not paths:
            raise InvalidCorpus("this installation lacks the demo's texts; install head-atlas again")
        placed = [place for path in paths for place in _places(path)]
        return [(name, text) for _, name, text in sorted(placed, key=lambda place: place[0])]


def _places(path: Path) -> Iterator[tuple[float, str, str]]:
    """For each text of a kind: the share of characters before it, from 0 to 1, its name and itself."""
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    n_characters, before = sum(map(len, texts)), 0
    for number, text in enumerate(texts, start=1):
        yield before / n_characters, f"{path.stem} {number}", text
        before += len(text)
