"""Bar charts and scatter plots of experiments as SVG geometry."""

from app.services.experiments.models import BarChart, PlotValue, ScatterChart
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

_GAP = 1.5


def draw_bars(chart: BarChart) -> Drawing:
    """A bar chart, with grouped bars that start at 0."""
    low, high = span_of([number for series in chart.series for number in known_numbers(series.values)])
    frame = Frame(36, 392, 18, 150, low, high)
    shapes, texts = frame.grid(percent=chart.percent)
    slot, n = (frame.right - frame.left) / max(len(chart.places), 1), len(chart.series)
    thick = min(0.76 * slot / max(n, 1), 36.0)
    for place, label in enumerate(chart.places):
        centre = frame.left + slot * (place + 0.5)
        texts.append(text_at("text-middle", centre, 163, label))
        for number, series in enumerate(chart.series):
            value = series.values[place]
            if value is None:
                continue
            x = centre + thick * (number - n / 2)
            index, strong = place if chart.by_place else series.index, place in chart.strong
            shapes += _bar(frame, value, x, thick - _GAP, _bar_class(index, strong, series.hollow))
            if chart.by_place or strong:
                text = frame.value_text(value.value, signed=not chart.by_place)
                texts.append(text_at("text-middle text-bold", x + thick / 2, _top(frame, value), text))
    texts.append(text_at("text-middle", (frame.left + frame.right) / 2, 180, chart.x_label))
    if n > 1 and not chart.by_place:
        texts += _peak_labels(chart, frame, slot, thick)
    return Drawing(WIDTH, HEIGHT, tuple(shapes), tuple(texts))


def _bar_class(index: int | None, strong: bool, hollow: bool) -> str:
    name = LETTERS[index] if index is not None else "S" if strong else "N"
    return f"bar{name}{' hollow' if hollow else ''}"


def _bar(frame: Frame, value: PlotValue, x: float, thick: float, name: str) -> list[Shape]:
    path = f"M{point(x, frame.y(0))}h{short(thick)}V{short(frame.y(value.value))}h-{short(thick)}z"
    return [Shape(name, path), *_whisker(frame, x + thick / 2, value)]


def _whisker(frame: Frame, x: float, value: PlotValue) -> list[Shape]:
    if value.lower is None or value.upper is None:
        return []
    top, bottom = frame.y(value.upper), frame.y(value.lower)
    return [Shape("whisker", f"M{point(x, top)}V{short(bottom)}m-2.5 0h5M{point(x - 2.5, top)}h5")]


def _top(frame: Frame, value: PlotValue) -> float:
    """The y position just above the bar and its whisker."""
    return frame.y(max(value.value, value.upper or 0.0, 0.0)) - 4


def _peak_labels(chart: BarChart, frame: Frame, slot: float, thick: float) -> list[ChartText]:
    """Names of the series, each above its tallest bar, where it overlaps neither bars nor other names."""
    bars = [
        (
            frame.left + slot * (place + 0.5) + thick * (number - len(chart.series) / 2 + 0.5),
            value.value,
            number,
        )
        for number, series in enumerate(chart.series)
        for place, value in enumerate(series.values)
        if value is not None
    ]
    texts: list[ChartText] = []
    taken: list[tuple[float, float]] = []
    for number, series in enumerate(chart.series):
        mine = [(value, -x) for x, value, of in bars if of == number]
        if not mine:
            continue
        x = -max(mine)[1]
        y = frame.y(max(value for other, value, _ in bars if abs(other - x) < 22)) - 4
        while any(abs(x - other_x) < 44 and abs(y - other_y) < 11 for other_x, other_y in taken):
            y -= 11
        taken.append((x, y))
        texts.append(
            text_at(f"text-middle text-bold text-{LETTERS[series.index or 0]}", x, max(y, 9), series.label)
        )
    return texts


def draw_scatter(chart: ScatterChart) -> Drawing:
    """A scatter plot, one path per mark, strong points on top; muted points are drawn once per pixel."""
    frame = Frame(36, 388, 18, 150, *span_of([part.y for part in chart.points]))
    across = Scale(*span_of([part.x for part in chart.points]), frame.left, frame.right)
    shapes, texts = frame.grid()
    texts += [text_at("text-middle", across.at(value), 163, tick_text(value)) for value in across.ticks()]
    texts.append(text_at("text-middle", (frame.left + frame.right) / 2, 180, chart.x_label))
    texts.append(text_at("text-start", frame.left, 9, chart.y_label))
    for mark in ("muted", "plain", "hollow", "strong"):
        mark_points = [part for part in chart.points if part.mark == mark]
        places = {(round(across.at(part.x)), round(frame.y(part.y))) for part in mark_points}
        drawn = [
            f"M{point(x, y)}h0" if mark == "muted" else mark_path(0, x, y, 3.2) for x, y in sorted(places)
        ]
        if drawn:
            shapes.append(Shape(f"dot-{mark}", "".join(drawn)))
    labelled = [(across.at(part.x), frame.y(part.y), part.label) for part in chart.points if part.label]
    return Drawing(WIDTH, HEIGHT, tuple(shapes), (*texts, *_point_labels(labelled)))


def _point_labels(points: list[tuple[float, float, str]]) -> list[ChartText]:
    """Labels to the right of the points, or to the left near the edge; moved down if they would overlap."""
    texts: list[ChartText] = []
    taken: list[tuple[float, float]] = []
    for x, y, label in sorted(points, key=lambda item: item[1]):
        side, at = ("start", x + 6) if x < 340 else ("end", x - 6)
        start = at if side == "start" else at - 36
        while any(abs(start - other_x) < 36 and abs(y - other_y) < 10 for other_x, other_y in taken):
            y += 10
        taken.append((start, y))
        texts.append(text_at(f"text-{side} text-bold", at, y + 4, label))
    return texts
