"""How a reader wants the figures: which heads, threshold, ablation and definition, from the address."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.experiments.intervals import Interval
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.experiments.models import Choice, PlotValue

MAX_SHOWN = 4  # heads that marks can tell apart


@dataclass(frozen=True)
class FigureOptions:
    """None: the default of the experiment."""

    heads: tuple[HeadRef, ...] = ()
    threshold: float | None = None
    mode: str | None = None
    definition: str | None = None
    tokens: str | None = None

    def query(self) -> dict[str, str]:
        """What was given, as parameters of an address."""
        given = {
            "heads": ",".join(map(str, self.heads)) or None,
            "threshold": None if self.threshold is None else f"{self.threshold:g}",
            "mode": self.mode,
            "definition": self.definition,
            "tokens": self.tokens,
        }
        return {name: value for name, value in given.items() if value is not None}


def estimate(interval: Interval | None) -> PlotValue | None:
    return None if interval is None else PlotValue(interval.mean, interval.lower, interval.upper)


def pick(name: str, wanted: str | None, known: Sequence[str]) -> str:
    """The wanted one, or the first. Raises NotFound for one that is not known."""
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise NotFound(f"the experiment has no {name} of that name; it has {', '.join(known)}")
    return wanted


def pick_heads(
    wanted: Sequence[HeadRef], known: Sequence[HeadRef], default: Sequence[HeadRef]
) -> tuple[HeadRef, ...]:
    """The heads to draw, at most as many as can be told apart. Raises NotFound for one without a result."""
    missing = [head for head in wanted if head not in known]
    if missing:
        raise NotFound(f"the experiment has no result for {missing[0]}")
    return tuple(dict.fromkeys(wanted or default))[:MAX_SHOWN]


def choices(parameter: str, values: Sequence[str], current: str) -> tuple[Choice, ...]:
    """A link for each value."""
    return tuple(
        Choice(value.replace("_", " "), parameter, value, current=value == current) for value in values
    )


def mean_and_interval(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    return (None, None, None) if interval is None else (interval.mean, interval.lower, interval.upper)
