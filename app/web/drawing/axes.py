"""Axes and marks of charts: scales with round ticks, and marks that distinguish series."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.services.experiments.models import PlotValue
from app.web.drawing.numbers import MINUS

WIDTH, HEIGHT = 400, 196
LETTERS = "ABCD"
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TINY = 1e-4  # printed with an exponent, as so many zeros are not read
_ZERO = 1e-3  # of what an axis covers: shorter than a hairline


@dataclass(frozen=True)
class Shape:
    """An SVG path and its CSS class."""

    name: str
    path: str


@dataclass(frozen=True)
class ChartText:
    """A text at a position; its classes set the anchor, the weight and the colour."""

    name: str
    x: str
    y: str
    text: str


@dataclass(frozen=True)
class Drawing:
    """A complete chart: shapes from back to front, then texts."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    texts: tuple[ChartText, ...]


def short(value: float) -> str:
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


def point(x: float, y: float) -> str:
    return f"{short(x)} {short(y)}"


def text_at(name: str, x: float, y: float, text: str) -> ChartText:
    return ChartText(name, short(x), short(y), text)


def tick_text(value: float, signed: bool = False) -> str:
    """A number as an axis prints it: .25, 1.5, −.5, 2.5e−9; with `signed` two digits and a sign: +.72."""
    if 0 < abs(value) < _TINY:
        mantissa, exponent = f"{abs(value):.1e}".split("e")
        sign = MINUS if value < 0 else "+" if signed else ""
        return f"{sign}{mantissa.removesuffix('.0')}e{MINUS}{-int(exponent)}"
    digits = 2 if signed or not 0 < abs(value) < 0.1 else 1 - math.floor(math.log10(abs(value)))
    text = f"{abs(value):.{digits}f}"
    if not signed:
        text = text.rstrip("0").rstrip(".")
    text = text.removeprefix("0") if text.startswith("0.") else text
    if not text.strip("0."):
        return "0"
    return (MINUS if value < 0 else "+" if signed else "") + text


def known_numbers(values: Sequence[PlotValue | None]) -> list[float]:
    """All values and interval bounds, without those that are None."""
    present = [value for value in values if value is not None]
    parts = [part for value in present for part in (value.value, value.lower, value.upper)]
    return [part for part in parts if part is not None]


def span_of(values: Sequence[float]) -> tuple[float, float]:
    """A range that includes 0 and all values, and is never empty."""
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


@dataclass(frozen=True)
class Scale:
    """A linear scale from values to positions, over a range extended to round ticks."""

    low: float
    high: float
    start: float
    end: float

    def ticks(self) -> list[float]:
        """About five round values that cover the range."""
        rough = (self.high - self.low) / 4
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * part for part in _STEPS if part >= rough / power - 1e-9)
        first, last = math.floor(self.low / step + 1e-9), math.ceil(self.high / step - 1e-9)
        return [float(f"{step * i:.10g}") for i in range(first, last + 1)]

    def at(self, value: float) -> float:
        ticks = self.ticks()
        return self.start + (self.end - self.start) * (value - ticks[0]) / (ticks[-1] - ticks[0])


@dataclass(frozen=True)
class Frame:
    """The plotting area of a chart, with its vertical scale."""

    left: float
    right: float
    top: float
    bottom: float
    low: float
    high: float

    def y(self, value: float) -> float:
        return Scale(self.low, self.high, self.bottom, self.top).at(value)

    def value_text(self, value: float, signed: bool = False) -> str:
        """A value as printed in the chart; 0 if the frame cannot tell it from 0."""
        return "0" if abs(value) < _ZERO * (self.high - self.low) else tick_text(value, signed)

    def grid(self, percent: bool = False) -> tuple[list[Shape], list[ChartText]]:
        """Horizontal grid lines with their values; the line at 0 is stronger."""
        shapes: list[Shape] = []
        texts: list[ChartText] = []
        for value in Scale(self.low, self.high, self.bottom, self.top).ticks():
            y = self.y(value)
            line = f"M{point(self.left, y)}H{short(self.right)}"
            shapes.append(Shape("axis" if value == 0 else "gridline", line))
            label = f"{100 * value:.0f}%" if percent else tick_text(value)
            texts.append(text_at("text-end", self.left - 5, y + 3.5, label))
        return shapes, texts


def mark_path(index: int, x: float, y: float, size: float = 3.8) -> str:
    """The path of mark number `index` at a point: disc, square, triangle or diamond."""
    s, double, far = short(size), short(2 * size), short(size + 1)
    if index == 0:
        return f"M{point(x - size, y)}a{s} {s} 0 1 0 {double} 0a{s} {s} 0 1 0 -{double} 0z"
    if index == 1:
        return f"M{point(x - size, y - size)}h{double}v{double}h-{double}z"
    if index == 2:
        return f"M{point(x, y - size - 1)}l{far} {double}h-{short(2 * size + 2)}z"
    return f"M{point(x, y - size - 1)}l{far} {far} -{far} {far} -{far} -{far}z"
