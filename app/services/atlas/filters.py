"""Filters of the atlas: heads that match stand out, the rest is faded."""

import math
from collections.abc import Callable

from app.domain.annotations.head_types import HEAD_TYPES
from app.domain.annotations.roles import find_role
from app.services.atlas.annotation_models import DONE
from app.services.atlas.models import AtlasFilter, AtlasHead
from app.services.reading.layer_ranges import InvalidQuery, parse_layers

NO_TYPE, ANYONE = "none", "anyone"
Test = Callable[[AtlasHead], bool]


def make_matcher(score: str, atlas_filter: AtlasFilter) -> Test:
    """A test of whether a head matches the filter.

    Raises InvalidQuery or UnknownRole for a filter that cannot be read.
    """
    tests = [
        test for test in (_layers(atlas_filter), _range(score, atlas_filter), *_notes(atlas_filter)) if test
    ]
    return lambda cell: all(test(cell) for test in tests)


def _layers(atlas_filter: AtlasFilter) -> Test | None:
    if not atlas_filter.layers:
        return None
    layers = parse_layers(atlas_filter.layers)
    return lambda cell: cell.head.layer in layers


def _range(score: str, atlas_filter: AtlasFilter) -> Test | None:
    if atlas_filter.low is None and atlas_filter.high is None:
        return None
    low = -math.inf if atlas_filter.low is None else atlas_filter.low
    high = math.inf if atlas_filter.high is None else atlas_filter.high
    return lambda cell: low <= cell.scores.get(score, math.nan) <= high


def _notes(atlas_filter: AtlasFilter) -> list[Test]:
    tests: list[Test] = []
    if atlas_filter.role:
        role = find_role(atlas_filter.role).name
        tests.append(lambda cell: cell.notes is not None and role in cell.notes.roles)
    if atlas_filter.type:
        _one_of(atlas_filter.type, (*HEAD_TYPES, NO_TYPE), "type")
        if atlas_filter.type == NO_TYPE:
            tests.append(lambda cell: cell.notes is None or cell.notes.head_type is None)
        else:
            tests.append(lambda cell: cell.notes is not None and cell.notes.counted_type == atlas_filter.type)
    if atlas_filter.status:
        _one_of(atlas_filter.status, (*DONE, ANYONE), "status")
        completions = DONE[1:] if atlas_filter.status == ANYONE else (atlas_filter.status,)
        tests.append(lambda cell: cell.done in completions)
    return tests


def _one_of(value: str, choices: tuple[str, ...], name: str) -> None:
    if value not in choices:
        raise InvalidQuery(f"{value[:30]!r} is an unknown {name}; choose from {', '.join(choices)}")
