"""What a goal needs: numbers that tests reach, numbers that they stay below, and figures of benchmarks."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.figures.results import Result
from tests.support.repository import ROOT

NOT_MEASURED = "not measured"
LINES = ROOT / "benchmarks" / "results.jsonl"


@dataclass(frozen=True)
class Measured:
    """What was found of a need, as a cell tells it."""

    text: str
    is_met: bool
    is_measured: bool = True


class Needed(Protocol):
    """Anything that can be measured from the results of tests."""

    def measure(self, results: Iterable[Result]) -> Measured: ...


@dataclass(frozen=True)
class Need:
    """A number that tests must reach: of what they counted, or of the tests themselves.

    A test is path::part of its name; ``count`` is what it gives to ``tests.support.counts.count``.
    """

    what: str
    at_least: int
    tests: tuple[str, ...]
    count: str = ""

    def measure(self, results: Iterable[Result]) -> Measured:
        """The sum over its tests, of what they counted or of themselves."""
        passed, n_failed = _own(self.tests, results)
        if not passed and not n_failed:
            return _not_measured(self.what)
        n = sum(result.counts.get(self.count, 0) for result in passed) if self.count else len(passed)
        short = f" of {self.at_least:,}" if n < self.at_least else ""
        return Measured(f"{n:,}{short} {self.what}{_failed(n_failed)}", n_failed == 0 and n >= self.at_least)


@dataclass(frozen=True)
class Worst:
    """A number that must stay below a bound in each of the tests, such as a time."""

    what: str
    below: int
    tests: tuple[str, ...]
    count: str

    def measure(self, results: Iterable[Result]) -> Measured:
        """The largest of its tests."""
        passed, n_failed = _own(self.tests, results)
        numbers = [result.counts[self.count] for result in passed if self.count in result.counts]
        if not numbers and not n_failed:
            return _not_measured(self.what)
        worst = max(numbers, default=self.below)
        above = "" if worst < self.below else f" (not below {self.below:,})"
        return Measured(
            f"{worst:,} {self.what}{above}{_failed(n_failed)}", n_failed == 0 and worst < self.below
        )


@dataclass(frozen=True)
class Newest:
    """A figure of a benchmark's newest line in benchmarks/results.jsonl, within its bounds."""

    what: str
    benchmark: str
    figure: Callable[[dict[str, Any]], float]
    at_least: float = float("-inf")
    below: float = float("inf")

    def measure(self, results: Iterable[Result]) -> Measured:
        """The figure, the day it was measured and how much else the machine did then."""
        lines = [json.loads(text) for text in LINES.read_text("utf-8").splitlines()]
        newest = next((line for line in reversed(lines) if line.get("benchmark") == self.benchmark), None)
        if newest is None:
            return _not_measured(self.what)
        number = round(self.figure(newest), 1)
        is_met = self.at_least <= number < self.below
        bound = f"not below {self.below:,g}" if number >= self.below else f"not {self.at_least:,.10g}"
        when = f"{newest['at'][:10]}, load {newest['load_before']}" + ("" if is_met else f"; {bound}")
        return Measured(f"{number:,.10g} {self.what} ({when})", is_met)


def served_per_second(page: str, line: dict[str, Any]) -> float:
    """How many pages of a kind per second, of a line of benchmarks/serving.py."""
    return next(row["per_second"] for row in line["rows"] if row["name"] == page)


def slowest_page(line: dict[str, Any]) -> float:
    """The longest that a page took which is no search, of a line of benchmarks/capacity.py."""
    return max(taken["max"] for kind, taken in line["milliseconds"].items() if kind != "search")


def _own(tests: tuple[str, ...], results: Iterable[Result]) -> tuple[list[Result], int]:
    """The results of these tests that passed, and how many failed."""
    own = [result for result in results if any(result.is_of(reference) for reference in tests)]
    passed = [result for result in own if result.passed]
    return passed, len(own) - len(passed)


def _not_measured(what: str) -> Measured:
    return Measured(f"{what}: {NOT_MEASURED}", is_met=False, is_measured=False)


def _failed(n_failed: int) -> str:
    return f", {n_failed} tests failed" if n_failed else ""
