"""Every numbered case of docs/reliability.md has a test that names it, or a line that says why it has none."""

import ast
import re

from tests.support.repository import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"
LAST = {"a": 25, "b": 24, "c": 12, "d": 18, "e": 28, "f": 18, "g": 16}
CASES = {f"{letter}{number:02d}" for letter, last in LAST.items() for number in range(1, last + 1)}
_ROW = re.compile(r"^\| ([A-G]\d+) \| .* \| (.*) \|$", re.MULTILINE)
_TEST = re.compile(r"`test_(?:[a-g]\d\d_)+\w+`")


def named_tests() -> dict[str, set[str]]:
    """The tests of the tree whose names begin with a case's id, such as test_a01_a11_..."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                ids = re.match(r"test_((?:[a-g]\d\d_)+)", node.name)
                for case in ids[1].rstrip("_").split("_") if ids else ():
                    found.setdefault(case, set()).add(node.name)
    return found


def rows() -> dict[str, str]:
    """The last cell of each case's row: its tests, or why there is none."""
    found = [
        (f"{case[0].lower()}{int(case[1:]):02d}", cell)
        for case, cell in _ROW.findall(DOCUMENT.read_text("utf-8"))
    ]
    assert len(found) == len(dict(found))
    return dict(found)


def test_every_case_has_a_row_and_no_test_names_another():
    assert rows().keys() == CASES
    assert named_tests().keys() <= CASES


def test_a_row_names_tests_that_there_are_or_says_why_there_is_none():
    existing = named_tests()
    for case, cell in rows().items():
        names = {name.strip("`") for name in _TEST.findall(cell)}
        assert names <= existing.get(case, set()), case
        assert names or cell.startswith(("Open: ", "Cannot apply: ")), case


def test_a_case_that_has_a_test_is_not_called_open():
    assert {case for case, cell in rows().items() if not _TEST.findall(cell)}.isdisjoint(named_tests())


def test_a22_no_duration_is_taken_from_a_clock_that_can_be_set_back():
    modules = [path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py")]
    assert any("monotonic()" in text for text in modules)
    assert not [text[:80] for text in modules if re.search(r"\btime\.time(_ns)?\(", text)]
