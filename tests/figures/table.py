"""The table of goals: what was asked for, what was measured, and whether it is met."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.figures.goals import Goal, Need
from tests.figures.results import Result

HEAD = ("goal", "figure", "measured", "pass")
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measured:
    """What the tests of a need did: how much passed, how many failed."""

    need: Need
    n: int
    n_passed: int
    n_failed: int

    @property
    def is_met(self) -> bool:
        return self.n_failed == 0 and self.n >= self.need.at_least

    @property
    def text(self) -> str:
        if not self.n_passed + self.n_failed:
            return f"{self.need.what}: {NOT_MEASURED}"
        failed = f", {self.n_failed} tests failed" if self.n_failed else ""
        short = f" of {self.need.at_least}" if self.n < self.need.at_least else ""
        return f"{self.n:,}{short} {self.need.what}{failed}"


def measure(need: Need, results: Iterable[Result]) -> Measured:
    """The sum over the tests of a need: of what they counted, or of themselves."""
    own = [result for result in results if any(result.is_of(reference) for reference in need.tests)]
    passed = [result for result in own if result.passed]
    n = sum(result.counts.get(need.count, 0) for result in passed) if need.count else len(passed)
    return Measured(need, n, len(passed), len(own) - len(passed))


def row(goal: Goal, results: Sequence[Result]) -> tuple[str, str, str, str]:
    """The cells of a goal."""
    measured = [measure(need, results) for need in goal.needs]
    texts = [each.text for each in measured]
    if not any(each.n_passed + each.n_failed for each in measured):
        return goal.name, goal.figure, ". ".join([NOT_MEASURED, *filter(None, [goal.short])]), "no"
    met = all(each.is_met for each in measured) and not goal.short
    return (
        goal.name,
        goal.figure,
        ". ".join(["; ".join(texts), *filter(None, [goal.short])]),
        "yes" if met else "no",
    )


def drawn(goals: Iterable[Goal], results: Sequence[Result]) -> str:
    """The table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row(goal, results) for goal in goals)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
