"""Options of an experiment's figures from the URL: heads, threshold, kind of ablation, definition of FVE."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.experiments.intervals import Interval
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.experiments.models import Choice, PlotValue

MAX_SHOWN = 4  # heads that marks can tell apart


@dataclass(frozen=True)
class FigureOptions:
    """The reader's choices for the figures; None or empty means the experiment's default."""

    heads: tuple[HeadRef, ...] = ()
    threshold: float | None = None
    mode: str | None = None
    definition: str | None = None
    tokens: str | None = None

    def query(self) -> dict[str, str]:
        """The options that differ from None or empty, as query parameters."""
        parameters = {
            "heads": ",".join(map(str, self.heads)) or None,
            "threshold": None if self.threshold is None else f"{self.threshold:g}",
            "mode": self.mode,
            "definition": self.definition,
            "tokens": self.tokens,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def estimate(interval: Interval | None) -> PlotValue | None:
    return None if interval is None else PlotValue(interval.mean, interval.lower, interval.upper)


def pick(name: str, requested: str | None, available: Sequence[str]) -> str:
    """The wanted value, by default the first. Raises NotFound if the experiment does not have it."""
    if requested is None:
        return available[0]
    if requested not in available:
        raise NotFound(f"the experiment has no {name} of that name; it has {', '.join(available)}")
    return requested


def pick_heads(
    requested: Sequence[HeadRef], available: Sequence[HeadRef], default: Sequence[HeadRef]
) -> tuple[HeadRef, ...]:
    """The wanted heads, or the default ones; at most MAX_SHOWN.

    Raises NotFound for a head without a result.
    """
    missing = [head for head in requested if head not in available]
    if missing:
        raise NotFound(f"the experiment has no result for {missing[0]}")
    return tuple(dict.fromkeys(requested or default))[:MAX_SHOWN]


def choices(parameter: str, values: Sequence[str], current: str) -> tuple[Choice, ...]:
    """Links to the figure with each value of the parameter, the current one marked."""
    return tuple(
        Choice(value.replace("_", " "), parameter, value, current=value == current) for value in values
    )


def mean_and_interval(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if interval is None else (interval.mean, interval.lower, interval.upper)
