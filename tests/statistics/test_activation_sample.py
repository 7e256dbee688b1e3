"""Bins, intervals and their samples: exact and canonical while the maximum grows."""

import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.statistics.activation_bins import (
    BIN_EDGES,
    BinCounts,
    activation_bin,
    interval_bins,
    interval_edges,
    interval_of_bin,
)
from app.statistics.activation_sample import ActivationSample
from tests.support.partial_batches import (
    ACTIVATIONS,
    EDGES,
    slow_interval_members,
    slow_intervals,
    slow_sample,
    text_of,
)

K = 2
SEED = 5
FLOAT32_MAX = float(np.finfo(np.float32).max)
SMALLEST = 2.0**-149
positive = st.floats(SMALLEST, FLOAT32_MAX, width=32)
activations = st.one_of(st.sampled_from(ACTIVATIONS), positive)
tokens = st.lists(st.tuples(st.integers(0, 2), activations), max_size=24)


def float32(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def sample_of(drawn: list[tuple[int, float]], start: int = 0) -> ActivationSample:
    """The tokens start, start + 1, ... each active on one feature."""
    feature = np.array([f for f, _ in drawn], dtype=np.int64)
    token_index = np.arange(start, start + len(drawn))
    values = float32(*(a for _, a in drawn))
    return ActivationSample.empty(3, K, SEED).add(feature, values, token_index, text_of(token_index))


def test_bin_edges_are_quarters_of_octaves():
    assert BIN_EDGES.tolist() == [float(edge) for edge in EDGES]


@given(positive)
@example(FLOAT32_MAX)
@example(1.25)
def test_each_activation_is_in_its_bin(activation):
    value = float32(activation)
    b = activation_bin(value)[0]
    assert BIN_EDGES[b] <= value[0] < BIN_EDGES[b + 1]


@given(activations)
@example(FLOAT32_MAX)
def test_interval_edges_are_the_nearest_bin_edges(maximum):
    maximum = float(np.float32(maximum))
    assert interval_edges(maximum).tolist() == [float(edge) for edge in slow_intervals(maximum)]


@given(st.floats(2.0**-120, 2.0**127, width=32))
def test_no_interval_is_empty_or_far_from_equal_width(maximum):
    edges = interval_edges(maximum)
    assert (np.diff(edges) > 0).all()
    assert np.abs(edges / maximum - np.arange(6) / 5).max() < 0.1
    assert interval_of_bin(activation_bin(float32(maximum)), maximum)[0] == 4


@given(activations, activations)
def test_edges_never_fall_as_the_maximum_grows(a, b):
    low, high = interval_bins(np.sort(float32(a, b)))
    assert (low <= high).all()


def test_a_dead_feature_has_no_intervals():
    assert interval_bins(float32(0)).tolist() == [[0] * 6]
    assert [len(tokens.key) for tokens in sample_of([]).samples(0)] == [0] * 5
    assert BinCounts.empty().interval_counts(0, 0.0).tolist() == [0] * 5
    assert len(BinCounts.empty().histogram(0).counts) == 0


@given(tokens)
def test_samples_and_counts_equal_a_slow_loop(drawn):
    sample = sample_of(drawn)
    counts = BinCounts.of(np.array([f for f, _ in drawn], dtype=np.int64), float32(*(a for _, a in drawn)))
    for f in range(3):
        active = [(float(np.float32(a)), t) for t, (g, a) in enumerate(drawn) if g == f]
        if not active:
            continue
        members = slow_interval_members(active)
        assert sum(map(len, members)) == len(active)
        maximum = max(a for a, _ in active)
        assert counts.interval_counts(f, maximum).tolist() == [len(m) for m in members]
        for got, expected in zip(sample.samples(f), members, strict=True):
            assert got.token_index.tolist() == slow_sample([t for _, t in expected], K, SEED)


@settings(max_examples=40)
@given(st.lists(tokens, min_size=4, max_size=4))
def test_any_order_and_bracketing_keep_identical_arrays(parts):
    starts = np.cumsum([0, *map(len, parts)])
    samples = [sample_of(part, start) for part, start in zip(parts, starts, strict=False)]
    expected = sample_of(list(itertools.chain(*parts)))
    for a, b, c, d in itertools.permutations(samples):
        assert reduce(ActivationSample.merge, (a, b, c, d)) == expected
        assert a.merge(b).merge(c.merge(d)) == expected
        assert a.merge(b.merge(c).merge(d)) == expected


def test_bins_below_the_first_edge_are_collapsed():
    low = [(0, float(2.0**-i)) for i in range(3, 12) for _ in range(3)]
    just_below = [(0, 0.18)] * 3  # the edge of a maximum of 1 is 0.1875
    sample = sample_of([*low, *just_below, (0, 1.0)])
    assert len(sample.kept.key) == K + 1  # one shared low slot, and the maximum
    spread = sample_of(low)
    assert len(spread.kept.key) == 4 * K  # three powers of two above a fifth of the maximum, and the low slot


def test_histogram_counts_tokens_between_its_edges():
    values = [0.3, 1.0, 1.1, 1.25, 2.9, 2.9]
    counts = BinCounts.of(np.array([1] * len(values)), float32(*values))
    counts = counts.merge(BinCounts.of(np.array([0, 1]), float32(7.0, 1.0)))
    histogram = counts.histogram(1)
    expected, _ = np.histogram(float32(*values, 1.0), bins=histogram.edges)
    assert histogram.counts.tolist() == expected.tolist()
    assert histogram.counts.sum() == len(values) + 1
    assert histogram.counts[0] > 0
    assert histogram.counts[-1] > 0


def test_samples_of_other_seeds_are_not_merged():
    with pytest.raises(ValueError, match="seed"):
        sample_of([]).merge(ActivationSample.empty(3, K, SEED + 1))


def test_the_sample_is_uniform_over_an_interval():
    n_tokens, n_trials = 40, 500
    hits = np.zeros(n_tokens)
    for seed in range(n_trials):
        empty = ActivationSample.empty(1, 10, seed)
        tokens = np.arange(n_tokens)
        sample = empty.add(np.zeros(n_tokens, np.int64), np.ones(n_tokens, np.float32), tokens, tokens)
        hits[sample.samples(0)[4].token_index] += 1
    assert hits.sum() == 10 * n_trials
    expected = n_trials / 4
    assert np.abs(hits - expected).max() < 5 * np.sqrt(expected * 0.75)
