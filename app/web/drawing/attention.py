"""An attention pattern as SVG paths, one per step of colour; runs of cells in a row are one stroke."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from app.domain.attention import PICTURE_LEVELS

N_STEPS = 8  # of blue, as cells of the atlas have


@dataclass(frozen=True)
class PatternPaths:
    """The numbers of columns and rows, and the path of each step of colour; the faintest cells have none."""

    width: int
    height: int
    paths: dict[int, str]


def pattern_paths(levels: Sequence[Sequence[int]]) -> PatternPaths:
    """The paths of a pattern. Steps follow the square root of the weight, so that 0.1 can be seen beside 1."""
    parts: dict[int, list[str]] = {}
    for y, row in enumerate(levels):
        x = 0
        for step, run in groupby(_step(level) for level in row):
            length = len(list(run))
            if step:
                parts.setdefault(step, []).append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    width = max((len(row) for row in levels), default=0)
    return PatternPaths(width, len(levels), {step: "".join(parts[step]) for step in sorted(parts)})


def _step(level: int) -> int:
    return round(N_STEPS * (level / PICTURE_LEVELS) ** 0.5)
