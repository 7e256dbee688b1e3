"""Geometry of small SVG charts: path data only, so that templates own the markup."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.services.examples.models import TokenLogit
from app.web.drawing.axes import short

BAR_WIDTH = 6  # of which 2 are the gap to the next bar
MINIATURE_CELL = 6
FILL_STEPS = 20  # a style sheet has a class for each


@dataclass(frozen=True)
class Bars:
    """Bars on a common base line: `chosen` is the path of the chosen bar, `rest` that of all others."""

    width: int
    rest: str
    chosen: str


def bars(values: Sequence[float | None], chosen: int | None, height: int = 20) -> Bars:
    """Bars as high as their share of the largest value, in whole pixels and at least one pixel high.

    They are drawn downwards from the base line, which takes fewer digits, and flipped by the stylesheet.
    Negative and missing values have no bar.
    """
    positive = [value for value in values if value is not None and value > 0]
    largest = max(positive, default=1.0)
    drawn = {True: [], False: []}
    for index, value in enumerate(values):
        if value is not None and value > 0:
            tall = max(1, round((height - 1) * value / largest))
            drawn[index == chosen].append(f"M{index * BAR_WIDTH + 3} 0v{tall}")
    return Bars(max(1, len(values)) * BAR_WIDTH, "".join(drawn[False]), "".join(drawn[True]))


def outline(counts: Sequence[int], width: int, height: int, logarithmic: bool = False) -> str:
    """A histogram as one closed outline, in whole pixels.

    Logarithmic heights are log(1 + count), so that an empty bin has height 0.
    """
    sizes = [math.log1p(count) if logarithmic else float(count) for count in counts]
    largest = max(sizes, default=0.0)
    if largest <= 0:
        return ""
    step = width / len(sizes)
    levels = groupby(round(height - (height - 1) * size / largest) for size in sizes)
    tops = "".join(f"V{level}h{short(len(list(same)) * step)}" for level, same in levels)
    return f"M0 {height}{tops}V{height}z"


@dataclass(frozen=True)
class Ticks:
    """One tick per head on a line from the smallest to the largest value; `chosen` is this head's tick."""

    rest: str
    chosen: str
    low: float
    high: float


def ticks(values: Sequence[float], chosen: float, width: int = 118) -> Ticks:
    """Ticks of a pixel's width, in units of half a pixel; ticks that touch are merged into one stroke.

    `rest` is a horizontal line, stroked with the height of a tick, so that its path stays short for hundreds
    of heads.
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(0.0, *finite, 0.0), max(finite, default=1.0)
    span = (high - low) or 1.0

    def x_of(value: float) -> int:
        return 2 + round(2 * (width - 2) * (value - low) / span)

    rest, end = "", 0
    for x in sorted({x_of(value) for value in finite}):
        if rest and x - 1 <= end:
            rest, n = rest[: rest.rindex("h")], int(rest[rest.rindex("h") + 1 :])
            rest += f"h{n + x + 1 - end}"
        else:
            rest += f"m{x - 1 - end} 0h2" if rest else f"M{x - 1} 20h2"
        end = x + 1
    return Ticks(rest, f"M{x_of(chosen)} 2v32", low, high)


@dataclass(frozen=True)
class Dumbbell:
    """The compared heads' values on one line with the ticks of all heads.

    places: x of each compared head, None for a head without a value.
    """

    rest: str
    join: str
    places: tuple[str | None, ...]
    low: float
    high: float


def dumbbell(values: Sequence[float], chosen: Sequence[float | None], width: int = 236) -> Dumbbell:
    """Positions on the line, rounded to half a pixel, with 5 pixels left free at both ends for the marks."""
    chosen_numbers = [value for value in chosen if value is not None and math.isfinite(value)]
    finite = [value for value in (*values, *chosen_numbers) if math.isfinite(value)]
    low, high = min(0.0, *finite, 0.0), max(finite, default=1.0)
    span = (high - low) or 1.0

    def x_of(value: float) -> str:
        return short(5 + round(2 * (width - 10) * (value - low) / span) / 2)

    rest = "".join(f"M{x} 6v6" for x in sorted({x_of(value) for value in finite}, key=float))
    join = f"M{x_of(min(chosen_numbers))} 9H{x_of(max(chosen_numbers))}" if len(chosen_numbers) > 1 else ""
    positions = tuple(x_of(value) if value is not None and math.isfinite(value) else None for value in chosen)
    return Dumbbell(rest, join, positions, low, high)


def miniature(levels: Sequence[Sequence[str]]) -> dict[str, str]:
    """A grid of colour classes as one path per class, a few pixels per cell; equal neighbours are merged."""
    paths: dict[str, list[str]] = {}
    size = MINIATURE_CELL
    for row, cells in enumerate(levels):
        column = 0
        for name, run in groupby(cells):
            width = len(list(run)) * size
            paths.setdefault(name, []).append(f"M{column} {row * size}h{width - 1}v{size - 1}H{column}z")
            column += width
    return {name: "".join(path) for name, path in sorted(paths.items())}


def steps(values: Sequence[int], top: float, width: int, height: int) -> str:
    """A step line through the values in turn, from 0 at the bottom to `top`."""
    if not values or top <= 0:
        return ""
    stride = width / len(values)
    rises = "".join(f"V{short(height - height * value / top)}h{short(stride)}" for value in values)
    return f"M0 {height}{rises}"


def split_bar(counts: Sequence[int], gap: float = 4.0) -> tuple[str, ...]:
    """A bar split by gaps: a path for each part, ten units long for each count."""
    parts: list[str] = []
    at = 0
    for count in counts:
        end = at + 10 * count - gap
        parts.append(f"M{at} 0H{short(end)}V4H{at}z")
        at += 10 * count
    return tuple(parts)


def heat(
    rows: Sequence[Sequence[float]], largest: float, steps: int, negative_steps: int, cell: int, height: int
) -> dict[str, str]:
    """A heat map as one path per colour class: `read-N` above zero, `negative-N` below.

    Equal neighbours in a row are merged. Values that round to step 0 have no cell, which leaves out most of
    an attention pattern.
    """
    paths: dict[str, list[str]] = {}
    for y, row in enumerate(rows):
        names = [_heat_class(value, largest, steps, negative_steps) for value in row]
        x = 0
        for name, run in groupby(names):
            n = len(list(run))
            if name:
                paths.setdefault(name, []).append(
                    f"M{x * cell} {y * height}h{n * cell}v{height}h-{n * cell}z"
                )
            x += n
    return {name: "".join(path) for name, path in sorted(paths.items())}


def _heat_class(value: float, largest: float, steps: int, negative_steps: int) -> str:
    if largest <= 0 or not math.isfinite(value):
        return ""
    most = steps if value > 0 else negative_steps
    step = math.floor(most * min(1.0, abs(value) / largest) + 0.5)
    return f"{'read' if value > 0 else 'negative'}-{step}" if step else ""


def level(value: float | None, largest: float, steps: int) -> int:
    """The step of a value on a scale of 0 to `steps`; at least 1 for positive values, which need a colour."""
    if value is None or not math.isfinite(value) or value <= 0 or largest <= 0:
        return 0
    return max(1, math.ceil(steps * min(1.0, value / largest) - 1e-9))


def bar_length(value: float, largest: float, width: int) -> str:
    """The length of a bar for |value|, at least half a pixel so that it is visible; 0 for the value 0."""
    if not math.isfinite(value) or largest <= 0 or value == 0:
        return "0"
    return short(max(0.5, min(1.0, abs(value) / largest) * width))


def largest_size(*lists: Sequence[TokenLogit]) -> float:
    """The largest logit of either sign, for bars to one scale."""
    return max((abs(logit.logit) for logits in lists for logit in logits), default=0)


def shown_evidence(shares: Mapping[str, float], weakest: float) -> list[tuple[str, float]]:
    """Kinds of evidence by share, largest first, from the weakest to show on.

    Fuzzy induction includes exact induction, and is left out if both shares are equal.
    """
    ordered = sorted(shares.items(), key=lambda item: item[1], reverse=True)
    exact = shares.get("induction", 0.0)
    return [
        (kind, share)
        for kind, share in ordered
        if share >= weakest and (kind != "induction_fuzzy" or share > exact)
    ]


@dataclass(frozen=True)
class Column:
    """One column of a chart of counts: where it stands, its outline, and the middle of its top."""

    path: str
    middle: str
    top: str
    count: int


def columns(counts: Sequence[int], width: int = 280, height: int = 96) -> tuple[Column, ...]:
    """Columns on a base line at 100, the largest `height` high."""
    largest, step = max(counts), width / len(counts)
    shapes: list[Column] = []
    for place, count in enumerate(counts):
        tall = round(height * count / largest, 1) if largest else 0
        path = f"M{round(place * step + 2, 1)} 100v-{tall}h{round(step - 4, 1)}v{tall}z"
        shapes.append(Column(path, str(round(place * step + step / 2, 1)), str(round(96 - tall, 1)), count))
    return tuple(shapes)
