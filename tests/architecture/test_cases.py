"""Every numbered case of annotation has a test that names it: D1 (two annotators) to D18 (an abandoned edit)."""

import re

from repository import ROOT


def test_every_case_of_concurrent_annotation_has_a_named_test():
    named = {
        int(number)
        for path in (ROOT / "tests").rglob("test_*.py")
        for number in re.findall(r"^def test_d(\d\d)_", path.read_text("utf-8"), re.MULTILINE)
    }
    assert named == set(range(1, 19))
