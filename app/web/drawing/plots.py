"""Charts of experiments as SVG geometry: classes, path data and text positions; templates own the markup."""

import math

from app.services.experiments.models import (
    BarChart,
    Chart,
    DotChart,
    LineChart,
    PlotValue,
    ScatterChart,
    TickChart,
)
from app.web.drawing.axes import (
    HEIGHT,
    LETTERS,
    WIDTH,
    ChartText,
    Drawing,
    Frame,
    Scale,
    Shape,
    known_numbers,
    mark_path,
    point,
    short,
    span_of,
    text_at,
    tick_text,
)
from app.web.drawing.bar_and_scatter import draw_bars, draw_scatter


def draw_chart(chart: Chart) -> Drawing:
    """The drawing of a chart of any kind."""
    if isinstance(chart, LineChart):
        return _lines(chart)
    if isinstance(chart, BarChart):
        return draw_bars(chart)
    if isinstance(chart, ScatterChart):
        return draw_scatter(chart)
    return _dots(chart) if isinstance(chart, DotChart) else _ticks(chart)


def _lines(chart: LineChart) -> Drawing:
    low, high = span_of([number for series in chart.series for number in known_numbers(series.values)])
    frame = Frame(36, 344, 12, 150, low, high)
    shapes, texts = frame.grid()
    last = max(len(chart.places) - 1, 1)

    def x_of(index: int) -> float:
        return frame.left + (frame.right - frame.left) * index / last

    texts += [text_at("text-middle", x_of(i), 163, label) for i, label in enumerate(chart.places)]
    texts.append(text_at("text-middle", (frame.left + frame.right) / 2, 180, chart.x_label))
    if chart.rule is not None:
        x = x_of(chart.rule[0] - 1)
        shapes.append(Shape("rule", f"M{point(x, frame.top)}V{short(frame.bottom)}"))
        texts.append(text_at("text-start", x + 5, frame.bottom - 5, chart.rule[1]))
    ends: list[tuple[float, str, int]] = []
    for series in reversed(chart.series):
        points = [(x_of(i), value) for i, value in enumerate(series.values) if value is not None]
        if points:
            index = series.index or 0
            shapes += _line(frame, points, index)
            ends.append((frame.y(points[-1][1].value), series.label, index))
    for y, label, index in _spread_labels(ends):
        texts.append(text_at(f"text-start text-bold text-{LETTERS[index]}", frame.right + 9, y + 4, label))
    return Drawing(WIDTH, HEIGHT, tuple(shapes), tuple(texts))


def _line(frame: Frame, points: list[tuple[float, PlotValue]], index: int) -> list[Shape]:
    """One series of a line chart: interval band, line and marks."""
    upper = [point(x, frame.y(v.value if v.upper is None else v.upper)) for x, v in points]
    lower = [point(x, frame.y(v.value if v.lower is None else v.lower)) for x, v in points]
    middle = [(x, frame.y(value.value)) for x, value in points]
    letter = LETTERS[index]
    return [
        Shape(f"band{letter}", f"M{'L'.join([*upper, *reversed(lower)])}z"),
        Shape(f"line{letter}", f"M{'L'.join(point(x, y) for x, y in middle)}"),
        Shape(f"mark-{letter}", "".join(mark_path(index, x, y) for x, y in middle)),
    ]


def _spread_labels(ends: list[tuple[float, str, int]], gap: float = 12) -> list[tuple[float, str, int]]:
    """Labels at the ends of lines, moved apart where two would overlap and kept above the bottom."""
    placed: list[tuple[float, str, int]] = []
    for y, label, index in sorted(ends):
        placed.append((max(y, placed[-1][0] + gap) if placed else y, label, index))
    limit = 150.0
    for i in range(len(placed) - 1, -1, -1):
        y, label, index = placed[i]
        placed[i] = (min(y, limit), label, index)
        limit = placed[i][0] - gap
    return placed


def _dots(chart: DotChart) -> Drawing:
    numbers = [chart.low, chart.high, *known_numbers([row.estimate for row in chart.rows])]
    across = Scale(min(numbers), max(numbers), 214, 388)
    height = 22 * len(chart.rows) + 26
    shapes = [Shape("gridline", f"M{point(across.at(v), 4)}V{height - 22}") for v in across.ticks()]
    texts = [text_at("text-middle", across.at(v), height - 8, tick_text(v)) for v in across.ticks()]
    if chart.rule is not None:
        shapes.append(Shape("rule", f"M{point(across.at(chart.rule), 4)}V{height - 22}"))
    for number, row in enumerate(chart.rows):
        y, value = 16 + 22 * number, row.estimate
        texts.append(text_at("text-start", 0, y + 4, row.label))
        if value is None:
            texts.append(text_at("text-start quiet", 218, y + 4, "not known"))
            continue
        if value.lower is not None and value.upper is not None:
            shapes.append(
                Shape("reach", f"M{point(across.at(value.lower), y)}H{short(across.at(value.upper))}")
            )
        shapes.append(Shape(f"mark-{LETTERS[row.index]}", mark_path(row.index, across.at(value.value), y)))
    return Drawing(WIDTH, height, tuple(shapes), tuple(texts))


def _ticks(chart: TickChart) -> Drawing:
    shapes: list[Shape] = []
    texts: list[ChartText] = []
    for number, row in enumerate(chart.rows):
        top = 8 + 32 * number
        numbers = [value for value in row.values if math.isfinite(value)]
        across = Scale(min(0.0, *numbers, 0.0), max([1.0, *numbers]), 112, 388)
        texts.append(text_at("text-start", 0, top + 12, row.label))
        texts.append(text_at("text-start quiet", 0, top + 23, f"{len(row.strong)} of {len(row.values)}"))
        shapes.append(Shape("axis", f"M112 {top + 20}H388"))
        for name, values, up, long in (("tick-line", numbers, 8, 10), ("heavy", row.strong, 2, 17)):
            places = sorted({round(2 * across.at(value)) / 2 for value in values})
            if places:
                shapes.append(Shape(name, "".join(f"M{point(x, top + up)}v{long}" for x in places)))
        shapes.append(Shape("rule", f"M{point(across.at(row.threshold), top)}v20"))
    bottom = 14 + 32 * len(chart.rows)
    texts += [text_at("text-middle", x, bottom, label) for x, label in ((112, "0"), (250, ".5"), (388, "1"))]
    return Drawing(WIDTH, bottom + 8, tuple(shapes), tuple(texts))
