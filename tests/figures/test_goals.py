"""The table of goals names tests that there are, and says what falls short."""

import ast
import json
from pathlib import Path

import pytest

from tests.figures import needs
from tests.figures.goals import REFERENCES, Goal
from tests.figures.needs import Need, Newest, Worst
from tests.figures.results import Result, read_results
from tests.figures.table import drawn
from tests.support.repository import ROOT

NEED = Need("kills", 3, ("tests/a.py::killed",), "kills")


def killed(case: str, n: int, *, passed: bool = True) -> Result:
    return Result(f"tests/a.py::test_killed{case}", passed, {"kills": n})


@pytest.mark.parametrize("reference", REFERENCES)
def test_each_goal_names_tests_that_there_are(reference: str) -> None:
    path, _, part = reference.partition("::")
    files = [ROOT / path] if path.endswith(".py") else sorted((ROOT / path).rglob("test_*.py"))
    names = [
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert [name for name in names if part in name]


@pytest.mark.parametrize(
    ("results", "short", "measured", "verdict"),
    [
        ([], "", "not measured", "no"),
        ([], "why", "not measured. why", "no"),
        ([killed("[1]", 2), killed("[2]", 1)], "", "3 kills", "yes"),
        ([killed("[1]", 2)], "", "2 of 3 kills", "no"),
        ([killed("", 3)], "why", "3 kills. why", "no"),
        ([killed("[1]", 3), killed("[2]", 9, passed=False)], "", "3 kills, 1 tests failed", "no"),
        ([Result("tests/b.py::test_killed", True, {"kills": 3}), Result("tests/a.py::test_other", True, {})], "",
         "not measured", "no"),
    ],
)  # fmt: skip
def test_a_row_adds_up_what_passed(results: list[Result], short: str, measured: str, verdict: str) -> None:
    row = drawn([Goal("survives", "3 kills", (NEED,), short)], results).splitlines()[-1]
    assert row == f"| survives | 3 kills | {measured} | {verdict} |"


def test_tests_are_counted_where_they_count_nothing_themselves() -> None:
    results = [Result(f"tests/browser/test_{name}.py::test_x", True, {}) for name in "ab"]
    goal = Goal("policy", "all", (Need("tests", 2, ("tests/browser/",)),))
    assert drawn([goal], results).splitlines()[-1] == "| policy | all | 2 tests | yes |"


WHEN = {"at": "2026-03-01T12:00:00+00:00", "load_before": 1.5}
SLOWEST = Worst("ms", 250, ("tests/a.py::served",), "p99_ms")


@pytest.mark.parametrize(
    ("results", "measured", "verdict"),
    [
        ([], "not measured", "no"),
        ([Result("tests/a.py::test_served[1]", True, {"p99_ms": 9}),
          Result("tests/a.py::test_served[2]", True, {"p99_ms": 70})], "70 ms", "yes"),
        ([Result("tests/a.py::test_served", True, {"p99_ms": 250})], "250 ms (not below 250)", "no"),
        ([Result("tests/a.py::test_served", True, {"p99_ms": 9}),
          Result("tests/a.py::test_served[2]", False, {})], "9 ms, 1 tests failed", "no"),
        ([Result("tests/a.py::test_served", True, {})], "not measured", "no"),
    ],
)  # fmt: skip
def test_of_times_the_worst_is_told(results: list[Result], measured: str, verdict: str) -> None:
    row = drawn([Goal("speed", "250 ms", (SLOWEST,))], results).splitlines()[-1]
    assert row == f"| speed | 250 ms | {measured} | {verdict} |"


def test_a_benchmark_is_read_from_its_newest_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tmp_path / "results.jsonl"
    written = [{"benchmark": "a", "n": 1}, {"benchmark": "a", "n": 1512.31}, {"benchmark": "b", "n": 7}]
    lines.write_text("".join(f"{json.dumps(line | WHEN)}\n" for line in written))
    monkeypatch.setattr(needs, "LINES", lines)

    def told(name: str, **bounds: float) -> str:
        need = Newest("a second", name, lambda line: line["n"], **bounds)
        return drawn([Goal("g", "f", (need,))], []).splitlines()[-1]

    assert told("a", at_least=400) == "| g | f | 1,512.3 a second (2026-03-01, load 1.5) | yes |"
    assert told("a", at_least=2000) == "| g | f | 1,512.3 a second (2026-03-01, load 1.5; not 2,000) | no |"
    assert told("b", below=7) == "| g | f | 7 a second (2026-03-01, load 1.5; not below 7) | no |"
    assert told("c", below=7) == "| g | f | not measured | no |"


def test_what_several_runs_recorded_is_one_table(tmp_path: Path) -> None:
    for name, passed in (("fast", "false"), ("slow", "true")):
        (tmp_path / name).write_text(
            f'{{"test": "tests/a.py::test_x", "passed": {passed}, "counts": {{}}}}\n'
        )
    both = read_results(tmp_path / "fast", tmp_path / "slow", tmp_path / "none")
    assert both == [Result("tests/a.py::test_x", True, {})]
