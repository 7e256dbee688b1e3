"""Suites begin with the files that take longest, which are files that there are."""

import json
from pathlib import Path
from types import SimpleNamespace

from tests.support.long_files import LIST, long_files, longest_first
from tests.support.repository import ROOT


def test_listed_files_are_there_and_named_once() -> None:
    listed = LIST.read_text("utf-8").split()
    assert len(set(listed)) == len(listed)
    assert not [name for name in listed if not (ROOT / name).is_file()]


def test_long_files_come_first_and_no_file_is_torn() -> None:
    first, second = LIST.read_text("utf-8").split()[:2]
    collected = ["tests/a.py::one", "tests/a.py::two[x::y]", f"{second}::b", f"{second}::a", f"{first}::c"]
    ordered = longest_first([SimpleNamespace(nodeid=name) for name in collected])  # type: ignore[misc]
    assert [item.nodeid for item in ordered] == [collected[4], *collected[2:4], *collected[:2]]


def test_the_list_is_of_files_whose_tests_take_long_together(tmp_path: Path) -> None:
    took = [("a.py::x", 12), ("b.py::x[1]", 30), ("c.py::x", 5), ("a.py::y", 11), ("b.py::x[2]", 1)]
    for name, tests in (("fast", took[:3]), ("slow", took[3:])):
        lines = [json.dumps({"test": test, "passed": True, "counts": {}, "seconds": n}) for test, n in tests]
        (tmp_path / name).write_text("\n".join(lines))
    assert long_files(tmp_path / "fast", tmp_path / "slow") == ["b.py", "a.py"]
