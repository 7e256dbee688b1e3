"""What differs between two stores of the same content: ids, random keys, times and paths."""

import re
import sqlite3
from pathlib import Path

# A name in pointed brackets would be read as an element of HTML.
_PATTERNS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|\+00:?00| UTC)?"), "«time»"),
    (re.compile(r"\b20\d\d-\d\d-\d\d\b"), "«day»"),
    (re.compile(r"\b\d\d?:\d\d(?::\d\d)? UTC"), "«time»"),
    (re.compile(r'("(?:job_)?seconds":\s?)[\d.]+(?:e-\d+)?'), r'\1"«seconds»"'),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "«random»"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:«port»"),
)
_SHORT = 8  # characters of a run's id that pages show


class Names:
    """Each id of a store with the name that stands for it, by the order in which the ids were made.

    `slug` is that of the first atlas.
    """

    def __init__(self, store: Path) -> None:
        with sqlite3.connect(store) as connection:
            (self.slug,) = connection.execute("SELECT slug FROM atlases ORDER BY id").fetchone()
            runs = connection.execute("SELECT fingerprint FROM runs ORDER BY id").fetchall()
            experiments = connection.execute(
                "SELECT id FROM experiments ORDER BY created_at, name, id"
            ).fetchall()
        self._folder = str(store.parent)
        self.names = {real: f"RUN{number}" for number, (real,) in enumerate(runs, 1)}
        self.names |= {real: f"EXPERIMENT{number}" for number, (real,) in enumerate(experiments, 1)}

    def stable(self, text: str) -> str:
        """The text with names in place of ids, and without random keys, times and paths."""
        text = text.replace(self._folder, "«folder»")
        for real, name in self.names.items():
            text = text.replace(real, name)
            text = text.replace(real[:_SHORT], f"{name}«short»") if name.startswith("RUN") else text
        for pattern, name in _PATTERNS:
            text = pattern.sub(name, text)
        return text

    def real(self, text: str) -> str:
        """The text with ids in place of their names."""
        for real, name in sorted(self.names.items(), key=lambda pair: -len(pair[1])):
            text = re.sub(rf"{name}(?!\d)", real, text)
        return text
