"""Numbers to the geometry of small SVG charts: path data only, so the template owns the markup."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

BAR_WIDTH = 6  # of which 2 are the gap to the next bar
MINIATURE_CELL = 6


def _short(value: float) -> str:
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


@dataclass(frozen=True)
class Bars:
    """Bars on one base line: `rest` for all but the chosen one, `chosen` for that one."""

    width: int
    rest: str
    chosen: str


def bars(values: Sequence[float | None], chosen: int | None, height: int = 20) -> Bars:
    """Bars over the largest value, down from the base line at 0: the style turns them up, so digits are few.

    Whole pixels, at least one each. Negative and missing values have no bar.
    """
    known = [value for value in values if value is not None and value > 0]
    largest = max(known, default=1.0)
    drawn = {True: [], False: []}
    for index, value in enumerate(values):
        if value is not None and value > 0:
            tall = max(1, round((height - 1) * value / largest))
            drawn[index == chosen].append(f"M{index * BAR_WIDTH + 3} 0v{tall}")
    return Bars(max(1, len(values)) * BAR_WIDTH, "".join(drawn[False]), "".join(drawn[True]))


def outline(counts: Sequence[int], width: int, height: int, logarithmic: bool = False) -> str:
    """A histogram as one closed outline, to the pixel. Logarithmic heights are of 1 + count: an empty bin has none."""
    sizes = [math.log1p(count) if logarithmic else float(count) for count in counts]
    largest = max(sizes, default=0.0)
    if largest <= 0:
        return ""
    step = width / len(sizes)
    levels = groupby(round(height - (height - 1) * size / largest) for size in sizes)
    tops = "".join(f"V{level}h{_short(len(list(same)) * step)}" for level, same in levels)
    return f"M0 {height}{tops}V{height}z"


@dataclass(frozen=True)
class Ticks:
    """One tick a head on a line from the smallest to the largest value, this head's apart."""

    rest: str
    chosen: str
    low: float
    high: float


def ticks(values: Sequence[float], chosen: float, width: int = 118) -> Ticks:
    """Ticks a pixel wide, in units of half a pixel. Those that touch are one stroke: hundreds of heads stay short.

    `rest` is a line along the middle, to be stroked as high as ticks are.
    """
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(0.0, *finite, 0.0), max(finite, default=1.0)
    span = (high - low) or 1.0

    def place(value: float) -> int:
        return 2 + round(2 * (width - 2) * (value - low) / span)

    rest, end = "", 0
    for x in sorted({place(value) for value in finite}):
        if rest and x - 1 <= end:
            rest, n = rest[: rest.rindex("h")], int(rest[rest.rindex("h") + 1 :])
            rest += f"h{n + x + 1 - end}"
        else:
            rest += f"m{x - 1 - end} 0h2" if rest else f"M{x - 1} 20h2"
        end = x + 1
    return Ticks(rest, f"M{place(chosen)} 2v32", low, high)


@dataclass(frozen=True)
class Dumbbell:
    """The compared heads' values on one line with the ticks of all: x of each head, None where it has none."""

    rest: str
    join: str
    places: tuple[str | None, ...]
    low: float
    high: float


def dumbbell(values: Sequence[float], chosen: Sequence[float | None], width: int = 236) -> Dumbbell:
    """Half pixels, as in `ticks`; 5 pixels are kept free at both ends for the marks."""
    known = [value for value in chosen if value is not None and math.isfinite(value)]
    finite = [value for value in (*values, *known) if math.isfinite(value)]
    low, high = min(0.0, *finite, 0.0), max(finite, default=1.0)
    span = (high - low) or 1.0

    def place(value: float) -> str:
        return _short(5 + round(2 * (width - 10) * (value - low) / span) / 2)

    rest = "".join(f"M{x} 6v6" for x in sorted({place(value) for value in finite}, key=float))
    join = f"M{place(min(known))} 9H{place(max(known))}" if len(known) > 1 else ""
    shown = tuple(place(value) if value is not None and math.isfinite(value) else None for value in chosen)
    return Dumbbell(rest, join, shown, low, high)


def miniature(levels: Sequence[Sequence[str]]) -> dict[str, str]:
    """A grid of cells as one path a class, for layers x heads at a few pixels a cell; equal neighbours are joined."""
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
    """A line that steps up to each value in turn, from zero at the bottom to `top`."""
    if not values or top <= 0:
        return ""
    stride = width / len(values)
    rises = "".join(f"V{_short(height - height * value / top)}h{_short(stride)}" for value in values)
    return f"M0 {height}{rises}"


def split_bar(counts: Sequence[int], gap: float = 4.0) -> tuple[str, ...]:
    """A bar of ten units a count, split with gaps: a path for each part, in a box ten units times the sum wide."""
    parts: list[str] = []
    at = 0
    for count in counts:
        end = at + 10 * count - gap
        parts.append(f"M{at} 0H{_short(end)}V4H{at}z")
        at += 10 * count
    return tuple(parts)


def heat(
    rows: Sequence[Sequence[float]], largest: float, steps: int, negative_steps: int, cell: int, height: int
) -> dict[str, str]:
    """Cells as one path a class, `rd` above zero and `ng` below, neighbours of one class as one box.

    Values nearer to zero than to the first step have no cell: most of attention is as good as none.
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
    """A value's step on a scale of 0 to `steps`; a positive value is at least 1, so that it has colour."""
    if value is None or not math.isfinite(value) or value <= 0 or largest <= 0:
        return 0
    return max(1, math.ceil(steps * min(1.0, value / largest) - 1e-9))


def bar_length(value: float, largest: float, width: int) -> str:
    """Length of a bar for a value of either sign, at least half a pixel, so that it can be seen."""
    if not math.isfinite(value) or largest <= 0 or value == 0:
        return "0"
    return _short(max(0.5, min(1.0, abs(value) / largest) * width))
