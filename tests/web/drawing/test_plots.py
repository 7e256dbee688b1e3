"""Geometry of the charts of experiments: values stand where the axis says, and nothing is drawn of nothing."""

import itertools
import re

import pytest

from app.services.experiments.models import (
    BarChart,
    DotChart,
    DotRow,
    LineChart,
    PlotValue,
    Point,
    ScatterChart,
    Series,
    TickChart,
    TickRow,
)
from app.web.drawing.axes import Drawing, Frame, Scale, mark_path, span_of, tick_text
from app.web.drawing.plots import draw_chart


def shapes(drawing: Drawing, name: str) -> list[str]:
    return [shape.path for shape in drawing.shapes if shape.name == name]


def texts(drawing: Drawing, name: str) -> list[str]:
    return [text.text for text in drawing.texts if text.name.startswith(name)]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0, 0.25, 0.5, 0.75, 1]),
        (0.0, 0.88, [0, 0.25, 0.5, 0.75, 1]),
        (-0.3, 0.9, [-0.5, 0, 0.5, 1]),
        (0.0, 0.0031, [0, 0.001, 0.002, 0.003, 0.004]),
        (0.0, 7300.0, [0, 2000, 4000, 6000, 8000]),
        (-1e-13, 3e-13, [-1e-13, 0, 1e-13, 2e-13, 3e-13]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, ticks: list[float]) -> None:
    scale = Scale(low, high, 0, 100)
    assert scale.ticks() == pytest.approx(ticks)
    assert (scale.at(ticks[0]), scale.at(ticks[-1])) == (0, 100)
    assert scale.at((ticks[0] + ticks[-1]) / 2) == pytest.approx(50)


def test_numbers_on_axes() -> None:
    assert [tick_text(v) for v in (0, 0.25, -0.5, 1.0, 1.5, 20)] == ["0", ".25", "\u2212.5", "1", "1.5", "20"]
    assert [tick_text(v) for v in (0.005, -0.0025, 0.06, 0.1)] == [".005", "\u2212.0025", ".06", ".1"]
    assert [tick_text(v, signed=True) for v in (0.72, -0.04, 0.0, 1.5)] == ["+.72", "\u2212.04", "0", "+1.50"]
    assert [tick_text(v) for v in (1.24e-9, -5e-5)] == ["1.2e\u22129", "\u22125e\u22125"]
    assert tick_text(3e-12, signed=True) == "+3e\u221212"
    assert span_of([]) == (0.0, 1.0)
    assert span_of([0.2, -0.1]) == (-0.1, 0.2)


def line_chart(*values: float | None) -> LineChart:
    series = Series("L1H0", 0, tuple(None if v is None else PlotValue(v, v - 0.1, v + 0.1) for v in values))
    return LineChart("x", ("1", "2", "3"), (series,), (2, "here"))


def test_a_line_goes_through_its_values_within_its_band() -> None:
    drawing = draw_chart(line_chart(0.1, 0.5, 0.9))
    frame = Frame(36, 344, 12, 150, 0.0, 1.0)
    [line], [band] = shapes(drawing, "lineA"), shapes(drawing, "bandA")
    places = [tuple(map(float, part.split())) for part in line[1:].split("L")]
    assert [x for x, _ in places] == [36, 190, 344]
    assert [y for _, y in places] == pytest.approx([frame.y(v) for v in (0.1, 0.5, 0.9)], abs=0.06)
    assert len(band.split("L")) == 6
    assert shapes(drawing, "rule") == ["M190 12V150"]
    assert texts(drawing, "text-start text-bold") == ["L1H0"]


def test_missing_values_are_left_out() -> None:
    [line] = shapes(draw_chart(line_chart(None, 0.5, 0.9)), "lineA")
    assert len(line.split("L")) == 2
    assert shapes(draw_chart(line_chart(None, None, None)), "lineA") == []


def test_labels_at_the_ends_of_lines_do_not_overlap() -> None:
    series = tuple(Series(str(i), i, (PlotValue(1.0), PlotValue(1.0 - i / 100))) for i in range(4))
    drawing = draw_chart(LineChart("x", ("1", "2"), series))
    places = sorted(float(text.y) for text in drawing.texts if " text-bold " in text.name)
    assert len(places) == 4
    assert all(b - a >= 11.9 for a, b in itertools.pairwise(places))


def test_bars_reach_from_zero_to_their_values() -> None:
    values = (PlotValue(0.5, 0.4, 0.6), PlotValue(-0.2), None)
    chart = BarChart("x", ("0", "1", "2"), (Series("", None, values),), strong=(0,))
    drawing = draw_chart(chart)
    frame = Frame(36, 392, 18, 150, -0.2, 0.6)
    [strong], [plain] = shapes(drawing, "barS"), shapes(drawing, "barN")
    for path, value in ((strong, 0.5), (plain, -0.2)):
        start, end = re.match(r"M[\d.]+ ([\d.]+)h[\d.]+V([\d.]+)", path).groups()
        assert (float(start), float(end)) == pytest.approx((frame.y(0), frame.y(value)), abs=0.06)
    assert len(shapes(drawing, "whisker")) == 1
    assert texts(drawing, "text-middle text-bold") == ["+.50"]


def test_places_that_are_heads_have_their_colours() -> None:
    clean = Series("clean", None, (PlotValue(0.5), PlotValue(0.6)))
    cut = Series("corrupted", None, (PlotValue(0.1), None), hollow=True)
    drawing = draw_chart(BarChart("x", ("L1H0", "L1H1"), (clean, cut), by_place=True))
    names = [shape.name for shape in drawing.shapes if shape.name.startswith("bar")]
    assert names == ["barA", "barA hollow", "barB"]


def test_a_bar_too_short_to_be_drawn_is_nought_in_print() -> None:
    clean = Series("clean", None, (PlotValue(0.5), PlotValue(0.002)))
    cut = Series("corrupted", None, (PlotValue(-1.3e-9), PlotValue(4e-4)), hollow=True)
    drawing = draw_chart(BarChart("x", ("L1H0", "L1H1"), (clean, cut), by_place=True))
    assert texts(drawing, "text-middle text-bold") == [".5", "0", ".002", "0"]
    alone = draw_chart(BarChart("x", ("L1H0", "L1H1"), (cut,), by_place=True))
    assert texts(alone, "text-middle text-bold") == ["0", ".0004"]
    tiny = Series("corrupted", None, (PlotValue(-1.3e-9), PlotValue(4e-10)))
    assert texts(draw_chart(BarChart("x", ("a", "b"), (tiny,), by_place=True)), "text-middle text-bold") == [
        "\u22121.3e\u22129",
        "4e\u221210",
    ]


def test_the_name_of_a_series_is_clear_of_taller_bars_beside_it() -> None:
    def names(n: int) -> dict[str, float]:
        series = (
            Series("L1H0", 0, (PlotValue(0.5), PlotValue(0.1)) * n),
            Series("L1H1", 1, (PlotValue(0.3), PlotValue(0.2)) * n),
        )
        drawing = draw_chart(BarChart("x", ("a", "b") * n, series))
        return {text.text: float(text.y) for text in drawing.texts if " text-bold " in text.name}

    frame = Frame(36, 392, 18, 150, 0.0, 0.5)
    wide, narrow = names(1), names(5)
    assert wide == pytest.approx({"L1H0": frame.y(0.5) - 4, "L1H1": frame.y(0.3) - 4}, abs=0.06)
    assert narrow == pytest.approx({"L1H0": frame.y(0.5) - 4, "L1H1": frame.y(0.5) - 15}, abs=0.06)


def test_points_stand_at_their_values_each_place_once() -> None:
    points = (Point(0.5, 0.5), Point(0.5, 0.5), Point(1, 1, "strong", "L1H0"), Point(0, 0, "muted"))
    drawing = draw_chart(ScatterChart("x", "y", points))
    assert shapes(drawing, "dot-plain") == [mark_path(0, 212, 84, 3.2)]
    assert shapes(drawing, "dot-strong") == [mark_path(0, 388, 18, 3.2)]
    assert shapes(drawing, "dot-muted") == ["M36 150h0"]
    assert texts(drawing, "text-end text-bold") == ["L1H0"]


def test_dots_have_their_reach_and_an_unknown_one_says_so() -> None:
    rows = (DotRow("a", PlotValue(0.5, 0.25, 0.75)), DotRow("b", None, 1))
    drawing = draw_chart(DotChart(rows, 0, 1, 0.5))
    assert shapes(drawing, "reach") == ["M257.5 16H344.5"]
    assert shapes(drawing, "mark-A") == [mark_path(0, 301, 16)]
    assert texts(drawing, "text-start quiet") == ["not known"]
    assert drawing.height > 60


def test_ticks_are_drawn_once_a_place_and_the_strong_ones_again() -> None:
    row = TickRow("induction", (0.0, 0.0, 0.5, 1.0, float("nan")), (1.0,), 0.3)
    drawing = draw_chart(TickChart((row,)))
    assert shapes(drawing, "tick-line") == ["M112 16v10M250 16v10M388 16v10"]
    assert shapes(drawing, "heavy") == ["M388 10v17"]
    assert texts(drawing, "text-start quiet") == ["1 of 5"]


def test_the_four_marks_differ() -> None:
    assert len({mark_path(index, 10, 10) for index in range(4)}) == 4
