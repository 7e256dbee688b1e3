"""Drawing the atlas: colour classes of cells, miniatures of the grid, and progress blocks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.annotations.head_types import HeadType
from app.services.atlas.annotation_models import Colouring, Completion
from app.services.atlas.models import AtlasHead, AtlasLayer
from app.web.drawing import charts
from app.web.drawing.tokens import NEGATIVE_STEPS

CELL_STEPS = 8
# Scores that say how much of a feature a head writes are drawn on the scale of writing.
WRITING_SCORES = frozenset({"concentration"})
TYPE_CLASSES: dict[HeadType | None, str] = {
    "monosemantic": "judgement-3",
    "minor_exceptions": "judgement-2",
    "bisemantic": "judgement-1",
    "polysemantic": "judgement-0",
    "unclear": "type-unclear",
    None: "not-annotated",
}
_DONE: dict[Completion, str] = {
    "both": "judgement-3",
    "you": "judgement-2",
    "others": "judgement-1",
    "nobody": "not-annotated",
}
NO_FEATURES = "no-features"
BLOCK = 6


def cell_class(value: float | None, largest: float, name: str = "") -> str:
    """The colour class of a cell, in equal steps up to the largest value; missing values have no colour."""
    if value is None or not math.isfinite(value):
        return NO_FEATURES
    if value < 0:
        below = min(NEGATIVE_STEPS, int((NEGATIVE_STEPS + 1) * -value / largest)) if largest > 0 else 0
        return f"negative-{below}" if below else "read-0"
    step = min(CELL_STEPS, int((CELL_STEPS + 1) * value / largest)) if largest > 0 else 0
    return f"{'write' if name in WRITING_SCORES else 'read'}-{step}"


def note_class(cell: AtlasHead, colour: Colouring, has_sae: bool) -> str:
    """The colour class of a cell that shows annotations. Heads without an SAE have no features to group."""
    notes = cell.notes
    has_type = notes is not None and notes.head_type is not None
    if colour == "progress" and (has_sae or cell.done != "nobody"):
        return _DONE[cell.done]
    if not has_sae and not has_type:
        return NO_FEATURES
    if colour == "groups" and has_type:
        return "cell-families"
    return TYPE_CLASSES[notes.counted_type if notes else None]


def head_boxes(n_layers: int, n_heads: int) -> str:
    """The outline of every head in the small grid that search results are marked in."""
    return "".join(
        f"M{head * 16 + 26} {layer * 11 + 12}h14v9h-14z"
        for layer in range(n_layers)
        for head in range(n_heads)
    )


@dataclass(frozen=True)
class Miniature:
    """A miniature of the grid, a few pixels per cell, as one SVG path per colour class."""

    width: int
    height: int
    paths: dict[str, str]


@dataclass(frozen=True)
class ScoreGrid(Miniature):
    """A miniature of one score over all heads, with the score's range."""

    low: float
    high: float
    largest: float


def score_grid(layers: Sequence[AtlasLayer], name: str) -> ScoreGrid:
    values = [[head.scores.get(name) for head in layer.heads] for layer in layers]
    finite = [value for row in values for value in row if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    largest = max(high, -low)
    drawn = _miniature([[cell_class(value, largest, name) for value in row] for row in values])
    return ScoreGrid(drawn.width, drawn.height, drawn.paths, low, high, largest)


def notes_grid(layers: Sequence[AtlasLayer], colour: Colouring) -> Miniature:
    def name(cell: AtlasHead, has_sae: bool) -> str:
        drawn = note_class(cell, colour, has_sae)
        named = [part for part in cell.notes.groups if part.name] if cell.notes else []
        return f"family-{named[0].family}" if drawn == "cell-families" and named else drawn

    return _miniature(
        [[name(cell, layer.sae is not None) for cell in layer.heads] for layer in layers],
    )


def progress_blocks(layers: Sequence[AtlasLayer]) -> Miniature:
    """A miniature of the progress: one block per layer with an SAE, its heads row by row."""
    blocks = [layer.heads for layer in layers if layer.sae]
    n_heads = max(map(len, blocks), default=0)
    across = math.ceil(n_heads / (4 if n_heads % 4 == 0 else 3))
    paths: dict[str, list[str]] = {}
    for number, heads in enumerate(blocks):
        left = number * (across * BLOCK + 4)
        for index, cell in enumerate(sorted(heads, key=lambda cell: cell.head)):
            row, column = divmod(index, across)
            square = f"M{left + column * BLOCK} {row * BLOCK}h5v5h-5z"
            paths.setdefault(_DONE[cell.done], []).append(square)
    width = len(blocks) * (across * BLOCK + 4) - 5
    height = (math.ceil(n_heads / across) if across else 0) * BLOCK - 1
    return Miniature(max(width, 1), max(height, 1), {name: "".join(path) for name, path in paths.items()})


def _miniature(classes: Sequence[Sequence[str]]) -> Miniature:
    size = charts.MINIATURE_CELL
    width, height = max(map(len, classes), default=0) * size, len(classes) * size
    return Miniature(width, height, charts.miniature(classes))
