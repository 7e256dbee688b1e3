"""The table of goals: what was asked for, what was measured, and whether it is met."""

from collections.abc import Iterable, Sequence

from tests.figures.goals import Goal
from tests.figures.needs import NOT_MEASURED
from tests.figures.results import Result

HEAD = ("goal", "figure", "measured", "pass")


def row(goal: Goal, results: Sequence[Result]) -> tuple[str, str, str, str]:
    """The cells of a goal."""
    measured = [need.measure(results) for need in goal.needs]
    found = any(each.is_measured for each in measured)
    texts = [each.text for each in measured] if found else [NOT_MEASURED]
    is_met = found and all(each.is_met for each in measured) and not goal.short
    return (
        goal.name,
        goal.figure,
        ". ".join(["; ".join(texts), *filter(None, [goal.short])]),
        "yes" if is_met else "no",
    )


def drawn(goals: Iterable[Goal], results: Sequence[Result]) -> str:
    """The table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row(goal, results) for goal in goals)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
