"""Every numbered case of annotation and of its spreadsheets has a test that names it."""

import re

import pytest

from tests.support.repository import ROOT


@pytest.mark.parametrize(
    ("letter", "last"),
    [
        pytest.param("d", 18, id="annotation: D1, two annotators, to D18, an abandoned edit"),
        pytest.param("g", 16, id="export and import: G1, formulas in CSV, to G16, names of files"),
    ],
)
def test_every_case_has_a_named_test(letter, last):
    named = {
        int(number)
        for path in (ROOT / "tests").rglob("test_*.py")
        for number in re.findall(rf"^def test_{letter}(\d\d)_", path.read_text("utf-8"), re.MULTILINE)
    }
    assert named == set(range(1, last + 1))
