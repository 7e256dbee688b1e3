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


def make_matcher(score: str, wanted: AtlasFilter) -> Test:
    """A test of whether a head matches the filter.

    Raises InvalidQuery or UnknownRole for a filter that cannot be read.
    """
    tests = [test for test in (_layers(wanted), _range(score, wanted), *_notes(wanted)) if test]
    return lambda cell: all(test(cell) for test in tests)


def _layers(wanted: AtlasFilter) -> Test | None:
    if not wanted.layers:
        return None
    layers = parse_layers(wanted.layers)
    return lambda cell: cell.head.layer in layers


def _range(score: str, wanted: AtlasFilter) -> Test | None:
    if wanted.low is None and wanted.high is None:
        return None
    low = -math.inf if wanted.low is None else wanted.low
    high = math.inf if wanted.high is None else wanted.high
    return lambda cell: low <= cell.scores.get(score, math.nan) <= high


def _notes(wanted: AtlasFilter) -> list[Test]:
    tests: list[Test] = []
    if wanted.role:
        role = find_role(wanted.role).name
        tests.append(lambda cell: cell.notes is not None and role in cell.notes.roles)
    if wanted.type:
        _one_of(wanted.type, (*HEAD_TYPES, NO_TYPE), "type")
        head_type = None if wanted.type == NO_TYPE else wanted.type
        tests.append(lambda cell: (cell.notes.head_type if cell.notes else None) == head_type)
    if wanted.status:
        _one_of(wanted.status, (*DONE, ANYONE), "status")
        kept = DONE[1:] if wanted.status == ANYONE else (wanted.status,)
        tests.append(lambda cell: cell.done in kept)
    return tests


def _one_of(value: str, known: tuple[str, ...], name: str) -> None:
    if value not in known:
        raise InvalidQuery(f"{value[:30]!r} is no {name} of a head; known are {', '.join(known)}")
