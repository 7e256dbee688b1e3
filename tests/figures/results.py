"""What the tests of a run did, as the recorder wrote it."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One test: its id, whether it passed, what it counted, and how long it took with its set-up."""

    test: str
    passed: bool
    counts: dict[str, int]
    seconds: float = 0.0

    def is_of(self, reference: str) -> bool:
        """Whether a reference of a goal, path::part of the name or a folder, means this test."""
        path, _, part = reference.partition("::")
        own_path, _, name = self.test.partition("::")
        in_place = own_path.startswith(path) if path.endswith("/") else own_path == path
        return in_place and part in name.partition("[")[0]


def read_results(*paths: Path) -> list[Result]:
    """The last result of each test in files of the recorder; a file that no test wrote to is not there."""
    texts = [path.read_text("utf-8") for path in paths if path.exists()]
    results = [Result(**json.loads(line)) for text in texts for line in text.splitlines()]
    return list({result.test: result for result in results}.values())
