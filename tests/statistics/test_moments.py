"""Moments against their definitions, also far from zero, and closed over nothing at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.moments import CoMoments, GroupedCoMoments
from tests.support.partial_batches import assert_same

sizes = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))


def vectors(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 1, (n, 3)).astype(np.float32)


def grouped(rows: np.ndarray) -> GroupedCoMoments:
    """Rows of (group, c0, c1, p)."""
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return GroupedCoMoments.of(rows[:, 0].astype(np.int64), rows[:, 1:3], rows[:, 3], n_groups=3)


def pairs(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.column_stack([random.integers(0, 2, n), random.normal(1, 2, (n, 3))])


def test_comoments_equal_a_slow_loop():
    x = vectors(7, 0).astype(np.float64)
    moments = CoMoments.of(x)
    mean = [sum(row[i] for row in x) / 7 for i in range(3)]
    for i in range(3):
        assert moments.mean[i] == pytest.approx(mean[i])
        for j in range(3):
            expected = sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in x)
            assert moments.comoment[i, j] == pytest.approx(expected)
    assert moments.total_variance() == pytest.approx(sum(np.sum((row - mean) ** 2) for row in x))


@given(sizes)
def test_comoments_merge_as_if_seen_at_once(drawn):
    *n, seed = drawn
    parts = [vectors(size, seed + i) for i, size in enumerate(n)]
    a, b, c = map(CoMoments.of, parts)
    expected = CoMoments.of(np.concatenate(parts))
    assert_same(a.merge(b).merge(c), expected)
    assert_same(c.merge(a.merge(b)), expected)
    empty = CoMoments.empty(3)
    assert a.merge(empty) == empty.merge(a) == a


@given(sizes)
def test_grouped_comoments_merge_as_if_seen_at_once(drawn):
    *n, seed = drawn
    parts = [pairs(size, seed + i) for i, size in enumerate(n)]
    a, b, c = map(grouped, parts)
    expected = grouped(np.concatenate(parts))
    assert_same(a.merge(b).merge(c), expected)
    assert_same(c.merge(a.merge(b)), expected)
    empty = GroupedCoMoments.empty(3, 2)
    assert a.merge(empty) == empty.merge(a) == a


def test_grouped_comoments_equal_comoments_of_each_group():
    rows = pairs(20, 1)
    moments = grouped(rows)
    for g in range(3):
        one = CoMoments.of(rows[rows[:, 0] == g, 1:])
        assert moments.n[g] == one.n
        np.testing.assert_allclose([*moments.mean_c[g], moments.mean_p[g]], one.mean)
        np.testing.assert_allclose([*moments.m2_c[g], moments.m2_p[g]], np.diag(one.comoment))
        np.testing.assert_allclose(moments.co_cp[g], one.comoment[:2, 2])


def test_a_small_spread_far_from_zero_survives():
    """A difference of raw second moments would lose all of it."""
    random = np.random.default_rng(0)
    deviations = random.normal(0, 1e-3, (400, 3))
    parts = np.split(1e6 + deviations, 8)
    merged = CoMoments.of(parts[0])
    for part in parts[1:]:
        merged = merged.merge(CoMoments.of(part))
    expected = CoMoments.of(deviations).comoment
    np.testing.assert_allclose(merged.comoment, expected, atol=1e-6 * expected.max())


def test_values_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        CoMoments.of(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="not finite"):
        grouped(np.array([[0, 1.0, np.inf, 1.0]]))
