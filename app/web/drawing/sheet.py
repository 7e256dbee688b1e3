"""Geometry of the annotation charts, and column names and queries of the spreadsheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise

from app.domain.annotations.fields import field_specs
from app.domain.annotations.head_types import HEAD_TYPE_NAMES, HEAD_TYPES, HeadType
from app.domain.annotations.records import HeadAnnotation
from app.services.rollups.agreement import TypePair
from app.services.sheet.models import LayerLine
from app.services.sheet.publication_tables import entry_type_in_words, groups_in_words, novelty_in_words
from app.services.sheet.rows import NUMBER_COLUMNS, PROVENANCE, STATE, YES_OR_NO_COLUMNS
from app.services.sheet.selection import DEFAULT_COLUMNS, SheetView
from app.web.drawing.axes import short

# Headings of columns that are no field of the annotation; those say their own.
COLUMN_NAMES = {
    "annotator": "by",
    "n_groups": "groups",
    "new_groups": "new",
    "n_evidence": "claims",
    "agreement": "others",
    "updated_at": "updated",
}
_SPECS = field_specs(HeadAnnotation)
# What the page offers together: what leads a set, the fields of the annotation that belong to it, what ends it.
_LEADING = {
    "Judgement": ("groups", "head_type", "computed_type", "provisional", "override", "override_reason"),
    "Groups": ("largest_group", "n_groups", "new_groups"),
    "About it": (),
    "Evidence": ("n_evidence",),
}
_LAST = {"About it": ("agreement",)}


def _column_set(title: str) -> tuple[str, ...]:
    names = (name for name, spec in _SPECS.items() if spec.column_set == title)
    return (*dict.fromkeys((*_LEADING[title], *names)), *_LAST.get(title, ()))


COLUMN_SETS = (
    ("Record", STATE),
    *((title, _column_set(title)) for title in _LEADING),
    ("Made with", PROVENANCE),
)


def layer_blocks(layers: Sequence[LayerLine]) -> list[tuple[LayerLine, ...]]:
    """Rows of the layer table: annotated or published layers one by one, runs of other layers together."""
    blocks = groupby(layers, key=lambda line: not (line.n_heads or line.published))
    return list(chain.from_iterable([tuple(run)] if empty else zip(run) for empty, run in blocks))


def column_name(column: str) -> str:
    if column in _SPECS:
        return _SPECS[column].column_name or _SPECS[column].words
    return COLUMN_NAMES.get(column, column.replace("_", " "))


def type_title(head_type: HeadType) -> str:
    return HEAD_TYPE_NAMES[head_type]


@dataclass(frozen=True)
class IntervalDot:
    """The path and positions of an estimate with its interval on a line."""

    interval: str
    x: str
    zero: str


def interval_dot(value: float, low: float | None, high: float | None, width: int = 190) -> IntervalDot:
    """An estimate on the line from 0 to 1, or from -1 if the estimate or its interval is negative."""
    start = -1.0 if min(value, value if low is None else low) < 0 else 0.0

    def x_of(number: float) -> str:
        return short(0.5 + (width - 1) * (number - start) / (1 - start))

    interval = "" if low is None or high is None else f"M{x_of(low)} 8H{x_of(high)}"
    return IntervalDot(interval, x_of(value), x_of(0))


def confusion_rows(pairs: Sequence[TypePair]) -> list[tuple[HeadType, list[int | None]]]:
    """The upper triangle of the confusion table, None below it.

    Each pair of types has one cell, because it does not matter which annotator gave which type.
    """
    counts = {(pair.first, pair.second): pair.n_pairs for pair in pairs}
    return [
        (
            row,
            [
                counts.get((row, column), 0) if at >= row_index else None
                for at, column in enumerate(HEAD_TYPES)
            ],
        )
        for row_index, row in enumerate(HEAD_TYPES)
    ]


def judgement_class(count: int | None, largest: int) -> str:
    """The colour class of a cell of the confusion table."""
    if not count:
        return ""
    return f"judgement-{min(3, 4 * (count - 1) // max(1, largest))}"


@dataclass(frozen=True)
class LevelChart:
    """A chart of mean abstraction by layer.

    points: (x, y, layer, value). line: path between adjacent layers; gaps: path across layers without a
    value.
    """

    width: int
    height: int
    line: str
    gaps: str
    points: tuple[tuple[str, str, int, float], ...]


def level_chart(levels: Sequence[float | None], width: int = 560, height: int = 120) -> LevelChart:
    """The chart of abstraction levels, from 1 (token) at the bottom to 4 (context) at the top."""
    left, step = 62, (width - 72) / max(1, len(levels) - 1)
    points = [
        (short(left + layer * step), short(level_y(level, height)), layer, level)
        for layer, level in enumerate(levels)
        if level is not None
    ]
    lines = {True: "", False: ""}
    for (x, y, layer, _), (next_x, next_y, next_layer, _) in pairwise(points):
        lines[next_layer == layer + 1] += f"M{x} {y}L{next_x} {next_y}"
    return LevelChart(width, height, lines[True], lines[False], tuple(points))


def level_y(level: float, height: int = 120) -> float:
    return height - 26 - (height - 40) * (level - 1) / 3


def view_query(view: SheetView, **changes: object) -> dict[str, object]:
    """Query parameters for the view with these changes; parameters at their default are left out."""
    sort = ("-" if view.descending else "") + view.sort
    query: dict[str, object] = {
        "layers": view.layers,
        "by": view.by,
        "type": view.head_type,
        "role": view.role,
        "status": view.status,
        "agreement": view.agreement,
        "sort": "" if sort == "head" else sort,
        "columns": "" if view.columns == DEFAULT_COLUMNS else ",".join(view.columns),
    }
    return {name: value for name, value in (query | changes).items() if value not in ("", None)}


def sorted_by(view: SheetView, column: str) -> str:
    """The sort parameter of a column header's link: reversed if the view is already sorted by it."""
    turned = view.sort == column and not view.descending
    return f"-{column}" if turned else column


def next_column(view: SheetView) -> str:
    """The column after the one that the view is sorted by; after the last, the first."""
    columns = view.columns
    return columns[(columns.index(view.sort) + 1) % len(columns)] if view.sort in columns else columns[0]


GLOBALS = {
    "layer_blocks": layer_blocks,
    "column_name": column_name,
    "column_sets": COLUMN_SETS,
    "number_columns": NUMBER_COLUMNS,
    "yes_or_no_columns": YES_OR_NO_COLUMNS,
    "type_title": type_title,
    "interval_dot": interval_dot,
    "confusion_rows": confusion_rows,
    "judgement_class": judgement_class,
    "level_chart": level_chart,
    "level_y": level_y,
    "view_query": view_query,
    "sorted_by": sorted_by,
    "next_column": next_column,
    "head_types": HEAD_TYPES,
    "entry_type": entry_type_in_words,
    "entry_groups": groups_in_words,
    "entry_novelty": novelty_in_words,
}
