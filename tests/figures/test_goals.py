"""The table of goals names tests that there are, and says what falls short."""

import ast

import pytest

from tests.figures.goals import REFERENCES, Goal, Need
from tests.figures.results import Result
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
