"""Writes outcome, counts and seconds of every test to the file that HEAD_ATLAS_FIGURES names: a line of JSON each."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.figures.goals import REFERENCES
from tests.figures.results import Result
from tests.support.counts import take_counts

VARIABLE = "HEAD_ATLAS_FIGURES"
ONLY_GOALS = "HEAD_ATLAS_FIGURES_ONLY"
_COUNTS = "counts"
_seconds: Counter[str] = Counter()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what shows no goal, where only goals are asked for."""
    if ONLY_GOALS not in os.environ:
        return
    rest = [
        item for item in items if not any(Result(item.nodeid, True, {}).is_of(each) for each in REFERENCES)
    ]
    config.hook.pytest_deselected(items=rest)
    items[:] = [item for item in items if item not in set(rest)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Put what the test counted into its report, which travels from worker processes."""
    take_counts()
    try:
        return (yield)
    finally:
        item.user_properties.append((_COUNTS, json.dumps(take_counts())))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write one line where the outcome of a test is known."""
    path = os.environ.get(VARIABLE)
    if not path or "PYTEST_XDIST_WORKER" in os.environ:
        return
    _seconds[report.nodeid] += report.duration
    if not (report.when == "call" or report.failed):
        return
    properties = dict(report.user_properties)
    counts = json.loads(str(properties.pop(_COUNTS, "{}")))
    # Tests that count one thing alone say it by pytest's own record_property.
    counts |= {name: value for name, value in properties.items() if isinstance(value, int)}
    seconds = round(_seconds[report.nodeid], 2)  # of its set-up, too
    line = {"test": report.nodeid, "passed": report.passed, "counts": counts, "seconds": seconds}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
