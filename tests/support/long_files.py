"""Test files that take long, so that each suite begins with them: one that came last would run while others have ended.

`python -m tests.support.long_files FILE...` makes the list anew of what tests recorded that ran with
HEAD_ATLAS_FIGURES=FILE in their environment.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.repository import ROOT

# The longest first, by seconds of `make test` and `make test-slow` together; a file of 20 seconds is here.
LIST = ROOT / "tests" / "support" / "long_files.txt"
LONG_S = 20


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests, of long files first, otherwise in the order that they have: tests of a file stay together."""
    place = {path: at for at, path in enumerate(LIST.read_text("utf-8").split())}
    return sorted(items, key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def long_files(*recorded: Path) -> list[str]:
    """The files of the tests that were recorded to take LONG_S seconds or more together, the longest first."""
    seconds: Counter[str] = Counter()
    for path in recorded:
        for line in path.read_text("utf-8").splitlines():
            test = json.loads(line)
            seconds[test["test"].partition("::")[0]] += test["seconds"]
    return [file for file, total in seconds.most_common() if total >= LONG_S]


if __name__ == "__main__":
    LIST.write_text("".join(f"{file}\n" for file in long_files(*map(Path, sys.argv[1:]))), "utf-8")
