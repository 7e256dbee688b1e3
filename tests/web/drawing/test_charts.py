"""Numbers as text and as geometry, and tokens as HTML."""

import math
import re
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.refs import HeadRef
from app.domain.tokens import Vocabulary
from app.services.examples.models import Cell, Pair, TextWindow, TokenLogit
from app.services.sheet.models import LayerLine, PublishedRoles
from app.web.drawing import charts
from app.web.drawing import display_names as labels
from app.web.drawing import numbers as formats
from app.web.drawing.atlas import cell_class
from app.web.drawing.sheet import layer_blocks
from app.web.drawing.tokens import (
    fires_html,
    lighter,
    read_class,
    reads_html,
    token_chip,
    token_chips,
    write_class,
)
from tests.support.odd_text import make_vocabulary

MINUS = "\u2212"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.48, ".48"),
        (0, "0"),
        (1, "1.00"),
        (-0.5, f"{MINUS}.50"),
        (4.816, "4.82"),
        (31.54, "31.5"),
        (0.999, "1.00"),
        (1234.5, "1,234"),
        (-0.001, ".00"),
        (None, formats.MISSING),
        (math.nan, formats.MISSING),
        (math.inf, formats.MISSING),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0%"),
        (0.0021, "0.21%"),
        (0.00001, "<0.01%"),
        (0.024, "2.4%"),
        (0.74, "74%"),
        (1, "100%"),
        (0.0997, "10%"),
    ],
)
def test_percentages(value: float, text: str) -> None:
    assert formats.percent(value) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a minute"),
        (60, "less than a minute"),
        (61, "2 minutes"),
        (5940, "99 minutes"),
        (7200, "2 hours"),
    ],
)
def test_times_to_wait(seconds: float, words: str) -> None:
    assert formats.time_left(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (12, "about 10 seconds"),
        (94, "about 90 seconds"),
        (95, "about 2 minutes"),
        (3000, "about 50 minutes"),
        (9000, "about 2 hours"),
    ],
)
def test_durations_are_said_roughly(seconds: float, words: str) -> None:
    assert formats.duration(seconds) == words


def test_small_formats() -> None:
    assert [formats.scientific(value) for value in (2.1e-6, 0, 0.02, math.nan)] == [
        "2e-6",
        "0",
        "2e-2",
        formats.MISSING,
    ]
    assert [formats.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 1001)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "1,001st",
    ]  # fmt: skip
    assert [formats.activation(value) for value in (8.13, 0.5, 0, 0.996, -2)] == [
        "8.1",
        ".50",
        "0",
        "1.0",
        f"{MINUS}2.0",
    ]


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(0.001, 1e6))
def test_levels_stay_on_their_scale(value: float, largest: float) -> None:
    step = charts.level(value, largest, 6)
    assert 0 <= step <= 6
    assert (step > 0) == (math.isfinite(value) and value > 0)
    assert charts.level(largest, largest, 6) == 6


def test_bars_have_one_path_a_colour() -> None:
    shape = charts.bars([0.5, None, 1.0, -0.2, 0.0], 0)
    assert shape.width == 30
    assert shape.chosen == "M3 0v10"
    assert shape.rest == "M15 0v19"
    assert charts.bars([1000.0, 1e-9], 0).rest == "M9 0v1"
    assert charts.bars([], None).rest == ""


def test_an_outline_has_the_heights_of_its_counts() -> None:
    path = charts.outline([0, 5, 10], 30, 11)
    assert path == "M0 11V11h10V6h10V1h10V11z"
    assert charts.outline([0, 0], 30, 11) == ""
    tops = [
        float(top) for top in re.findall(r"V([\d.]+)h", charts.outline([0, 1, 99], 30, 11, logarithmic=True))
    ]
    assert tops == pytest.approx([11, 11 - 10 * math.log(2) / math.log(100), 1], abs=0.5)
    assert charts.outline([3, 3, 3], 30, 11) == "M0 11V1h30V11z"


def test_ticks_stand_where_their_values_are() -> None:
    line = charts.ticks([0.0, 0.5, 1.0, 0.5], 0.5, width=102)
    assert (line.low, line.high) == (0.0, 1.0)
    assert line.chosen == "M102 2v32"
    assert line.rest == "M1 20h2m98 0h2m98 0h2"
    assert charts.ticks([-1.0, 1.0], -1.0, width=102).chosen == "M2 2v32"
    assert charts.ticks([0.0, 0.0], 0.0).rest == "M1 20h2"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_ticks_cover_a_pixel_about_each_value_and_no_more(values: list[float]) -> None:
    high = max(*values, 0.0) or 1.0
    expected = {x for value in values for x in _halves_about(2 + round(232 * value / high))}
    covered: set[int] = set()
    [start, *steps] = re.findall(r"[Mmh]-?\d+", charts.ticks(values, values[0]).rest)
    at = int(start[1:])
    for step in steps:
        if step[0] == "h":
            covered.update(range(at, at + int(step[1:])))
        at += int(step[1:])
    assert covered == expected


def _halves_about(x: int) -> tuple[int, int]:
    return x - 1, x


def test_a_miniature_has_a_path_a_class() -> None:
    paths = charts.miniature([["read-0", "read-3", "read-3"], ["read-3", "not-annotated", "read-3"]])
    assert paths == {
        "read-0": "M0 0h5v5H0z",
        "read-3": "M6 0h11v5H6zM0 6h5v5H0zM12 6h5v5H12z",
        "not-annotated": "M6 6h5v5H6z",
    }


def test_steps_rise_to_each_value() -> None:
    assert charts.steps([1, 1, 4], 4, 30, 20) == "M0 20V15h10V15h10V0h10"
    assert charts.steps([], 4, 30, 20) == charts.steps([0], 0, 30, 20) == ""


def test_a_split_bar_has_its_counts_and_gaps() -> None:
    assert charts.split_bar([8, 2]) == ("M0 0H76V4H0z", "M80 0H96V4H80z")
    assert charts.split_bar([8, 2], 0) == ("M0 0H80V4H0z", "M80 0H100V4H80z")


def test_cells_have_nine_equal_steps() -> None:
    assert [cell_class(value, 0.9) for value in (0.0, 0.05, 0.15, 0.89, 0.9)] == [
        "read-0",
        "read-0",
        "read-1",
        "read-8",
        "read-8",
    ]
    assert [cell_class(value, 1.0) for value in (-1.0, None, math.nan)] == [
        "negative-4",
        "no-features",
        "no-features",
    ]
    assert cell_class(0.9, 0.9, "concentration") == "write-8"
    assert cell_class(0.0, 0.0) == "read-0"


def test_colour_classes() -> None:
    assert [read_class(value, 2.0) for value in (2.0, 0.1, 0.0, None, -0.1, -2.0)] == [
        "read-6",
        "read-1",
        "",
        "",
        "negative-1",
        "negative-4",
    ]
    assert [write_class(value, 2.0) for value in (2.0, 0.0, -1.0, None)] == ["write-6", "", "", ""]


def test_labels_fall_back_to_the_name() -> None:
    assert labels.score_label("some_new_score").name == "some new score"
    assert labels.evidence_label("bos").name == "BOS"


def test_c01_every_token_is_inert_and_titled() -> None:
    vocabulary = make_vocabulary()
    titles = set()
    for token in range(len(vocabulary)):
        chip = BeautifulSoup(token_chip(vocabulary.view(token)), "html.parser").bdi
        assert chip is not None
        assert set(chip.attrs) == {"class", "title"}
        assert {tag.name for tag in chip.find_all(True)} <= {"b"}
        assert chip.text == "".join(part.text for part in vocabulary.view(token).parts)
        titles.add(chip["title"])
    assert len(titles) == len(vocabulary)


@settings(deadline=None)
@given(st.binary(max_size=40), st.floats(-3, 3), st.booleans())
def test_any_bytes_are_inert_in_a_strip(token: bytes, value: float, matched: bool) -> None:
    view = Vocabulary.from_tokens([token], []).view(0)
    cell = Cell(0, view.text, view, value, matched)
    for html in (
        reads_html(TextWindow((cell,), (cell,)), 3.0),
        fires_html(TextWindow((cell,), (cell,)), 3.0),
    ):
        tree = BeautifulSoup(html, "html.parser")
        assert {tag.name for tag in tree.find_all(True)} <= {"u", "i", "b"}
        assert {name for tag in tree.find_all(True) for name in tag.attrs} <= {"class", "title", "data-v"}
        assert len(tree.select("b > i, b > u, i > i, i > u")) == 2
        assert len(tree.select(".peak")) == 1
        assert tree.text == "".join(part.text for part in view.parts) * 2


def test_neighbouring_layers_of_which_nothing_is_said_are_one_row() -> None:
    heads = [0, 0, 3, 0, 1, 2, 0, 0, 0]
    lines = [LayerLine(layer, n, (), (), (), None, 0, ()) for layer, n in enumerate(heads)]
    blocks = layer_blocks(lines)
    assert [[line.layer for line in block] for block in blocks] == [[0, 1], [2], [3], [4], [5], [6, 7, 8]]
    told = replace(lines[1], published=(PublishedRoles(HeadRef(1, 0), ("induction",), None),))
    blocks = layer_blocks([lines[0], told, lines[3]])
    assert [[line.layer for line in block] for block in blocks] == [[0], [1], [3]]


def _cells(*texts: str, value: float | None = None) -> tuple[Cell, ...]:
    views = [Vocabulary.from_tokens([text.encode()], []).view(0) for text in texts]
    return tuple(Cell(0, view.text, view, value, False) for view in views)


def test_a_token_says_no_more_than_it_needs() -> None:
    strip = TextWindow(_cells("a", " b"), _cells("c", "\n", value=1.0))
    assert fires_html(strip, 2.0) == (
        '<b><i>a</i><u class="peak" title="#0"> b</u></b>'
        '<i><i class="write-3" data-v="1.00">c</i><i class="write-3" data-v="1.00"><b>↵</b></i></i>'
    )
    # Text that the model had not read is grey, but keeps its values.
    assert '<i><i data-v="1.00">c</i>' in fires_html(strip, 2.0, grey_after=True)
    long = TextWindow(_cells("x" * 30), ())
    assert f'title="token 0: “{"x" * 30}”"' in fires_html(long, 2.0)


def test_lighter_text_is_the_nearest_to_the_hinge() -> None:
    words = [f" {letter * 5}" for letter in "abcdefghij"]
    whole = TextWindow(_cells(*words), _cells(*words))
    pair = lighter(Pair(None, whole, TextWindow((), ())))  # type: ignore[arg-type]
    assert [cell.text for cell in pair.reads.before] == words[-3:]
    assert [cell.text for cell in pair.reads.after] == words[:2]
    assert pair.fires == TextWindow((), ())


def test_chips_that_a_line_cannot_show_are_not_sent() -> None:
    logits = [TokenLogit(cell.token_id, cell.text, cell.view, 1.0) for cell in _cells(*["abcdefgh"] * 5)]
    shown = [str(token_chips(logits[:5], width)).count("<bdi") for width in (1, 65, 135, 1000)]
    assert shown == [1, 1, 2, 5]
    assert token_chips([], 100) == ""
