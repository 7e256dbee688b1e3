"""Heads near each other by their scores, against a slow loop, and the laws of a distance."""

import math
import statistics

import numpy as np
import pytest

from app.domain.records import HeadRecord
from app.domain.refs import HeadRef
from app.services.compare.nearest import N_NEAREST, leading_heads, nearest_heads


def random_heads(n: int = 20, missing: bool = False) -> list[HeadRecord]:
    rng = np.random.default_rng(7)
    heads = [
        HeadRecord(
            HeadRef(*divmod(index, 4)),
            {"induction": float(rng.beta(0.5, 3)), "distance": float(rng.uniform(1, 500)), "equal": 0.5},
        )
        for index in range(n)
    ]
    if missing:
        del heads[3].scores["distance"]
        heads[5].scores["induction"] = math.nan
        heads[6].scores["distance"] = math.inf
        heads[8].scores.clear()
    return heads


def slow_distance(heads: list[HeadRecord], first: HeadRecord, second: HeadRecord) -> float | None:
    squares: list[float] = []
    for name in ("induction", "distance"):
        finite = [h.scores[name] for h in heads if math.isfinite(h.scores.get(name, math.nan))]
        difference = first.scores.get(name, math.nan) - second.scores.get(name, math.nan)
        if math.isfinite(difference):
            squares.append((difference / statistics.pstdev(finite)) ** 2)
    return math.sqrt(sum(squares) / len(squares)) if squares else None


@pytest.mark.parametrize("missing", [False, True])
def test_nearest_heads_against_a_slow_loop(missing: bool) -> None:
    heads = random_heads(missing=missing)
    for chosen in heads:
        distances = {head.ref: slow_distance(heads, chosen, head) for head in heads if head is not chosen}
        expected = sorted((value, ref) for ref, value in distances.items() if value is not None)[:N_NEAREST]
        found = nearest_heads(heads, chosen.ref)
        assert [near.head for near in found] == [ref for _, ref in expected]
        assert [near.distance for near in found] == pytest.approx([value for value, _ in expected])
    assert bool(nearest_heads(heads, HeadRef(2, 0))) is not missing


def test_distances_are_symmetric_and_free_of_units() -> None:
    heads = random_heads()
    table = {
        (head.ref, near.head): near.distance for head in heads for near in nearest_heads(heads, head.ref, 99)
    }
    assert len(table) == 20 * 19
    assert all(table[second, first] == value for (first, second), value in table.items())
    in_other_units = [
        HeadRecord(h.ref, {**h.scores, "distance": 1000 * h.scores["distance"] - 7}) for h in heads
    ]
    found = nearest_heads(in_other_units, HeadRef(1, 1), 99)
    assert [near.distance for near in found] == pytest.approx(
        [near.distance for near in nearest_heads(heads, HeadRef(1, 1), 99)]
    )


def test_equal_heads_are_at_no_distance_in_order_of_place() -> None:
    scores = {"induction": 0.25, "copying": 0.5}
    heads = [HeadRecord(HeadRef(0, index), dict(scores)) for index in (2, 0, 1)]
    heads.append(HeadRecord(HeadRef(1, 0), {"induction": 0.5, "copying": 0.5}))
    found = nearest_heads(heads, HeadRef(0, 1))
    assert [(near.head, near.distance) for near in found[:2]] == [(HeadRef(0, 0), 0), (HeadRef(0, 2), 0)]
    assert found[2].distance > 1


def test_without_scores_that_tell_heads_apart_no_head_is_near() -> None:
    for scores in ({}, {"induction": 0.5}, {"induction": math.nan}):
        heads = [HeadRecord(HeadRef(0, index), dict(scores)) for index in range(3)]
        assert nearest_heads(heads, HeadRef(0, 0)) == ()
        assert leading_heads(heads, sorted(scores)) == ()


def test_the_first_head_by_each_score_and_the_one_nearest_to_it() -> None:
    heads = random_heads(missing=True)
    found = leading_heads(heads, ("distance", "induction", "equal", "unknown"))
    assert [row.score for row in found] == ["distance", "induction", "equal"]
    for row in found:
        finite = {
            h.ref: h.scores[row.score] for h in heads if math.isfinite(h.scores.get(row.score, math.nan))
        }
        assert row.value == finite[row.head] == max(finite.values())
        assert row.nearest == nearest_heads(heads, row.head)[0]
