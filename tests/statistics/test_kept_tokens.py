"""Keys order tokens by rank and then by age, and the k best are kept whatever the order of merging."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.kept_tokens import (
    MAX_TOKEN_INDEX,
    TopTokens,
    activation_rank,
    sampling_rank,
    token_key,
)
from tests.support.partial_batches import first_of_texts, text_of

K = 3
entries = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1e-45, 0.5, 1.0, 2.0, 7.5])), max_size=30)


def top_of(drawn: list[tuple[int, float]], start: int = 0) -> TopTokens:
    unit = np.array([u for u, _ in drawn], dtype=np.int64)
    rank = activation_rank(np.array([a for _, a in drawn], dtype=np.float32))
    token_index = np.arange(start, start + len(drawn))
    return TopTokens.empty(K).add(unit, token_key(rank, token_index), text_of(token_index))


@given(st.lists(st.floats(2.0**-149, 2.0**127, width=32), min_size=2))
def test_rank_is_in_the_order_of_the_activations(values):
    activation = np.array(values, dtype=np.float32)
    rank = activation_rank(activation)
    assert (
        np.sign(np.subtract.outer(rank, rank)) == np.sign(np.subtract.outer(activation, activation))
    ).all()


@pytest.mark.parametrize("value", [0.0, -0.0, -1.0, np.nan, np.inf, -np.inf])
def test_an_inactive_value_has_no_rank(value):
    with pytest.raises(ValueError, match="positive and finite"):
        activation_rank(np.array([1.0, value], dtype=np.float32))


def test_other_dtypes_have_no_rank():
    with pytest.raises(TypeError, match="float64"):
        activation_rank(np.ones(1))


@pytest.mark.parametrize("token_index", [-1, MAX_TOKEN_INDEX + 1])
def test_token_indices_have_32_bits(token_index):
    with pytest.raises(ValueError, match="token indices"):
        token_key(np.array([1]), np.array([token_index]))


@given(st.integers(1, 2**31 - 1), st.integers(0, MAX_TOKEN_INDEX))
def test_a_key_holds_its_rank_and_token(rank, token_index):
    top = TopTokens.of(
        np.zeros(1, np.int64), token_key(np.array([rank]), np.array([token_index])), np.zeros(1, np.int64), K
    )
    assert (top.rank[0], top.token_index[0]) == (rank, token_index)


@given(entries)
def test_the_k_best_of_each_unit_equal_a_sorted_list(drawn):
    top = top_of(drawn)
    for u in range(4):
        active = [(np.float32(a), t) for t, (v, a) in enumerate(drawn) if v == u]
        by_token = {t: a for a, t in active}
        expected = first_of_texts([t for _, t in sorted(active, key=lambda pair: (-pair[0], pair[1]))], K)
        assert top.of_unit(u).token_index.tolist() == expected
        assert top.of_unit(u).activation.tolist() == [by_token[t] for t in expected]
        assert top.of_unit(u).text.tolist() == text_of(np.array(expected, np.int64)).tolist()


@given(entries, entries)
def test_merge_equals_one_pass_both_ways(first, second):
    a, b = top_of(first), top_of(second, len(first))
    expected = top_of(first + second)
    assert a.merge(b) == b.merge(a) == expected
    assert a.merge(TopTokens.empty(K)) == TopTokens.empty(K).merge(a) == a


@given(st.lists(entries, min_size=3, max_size=3))
def test_any_order_and_bracketing_keep_the_same_tokens(parts):
    starts = np.cumsum([0, *map(len, parts)])
    a, b, c = (top_of(part, start) for part, start in zip(parts, starts, strict=False))
    expected = top_of([pair for part in parts for pair in part])
    for x, y, z in itertools.permutations((a, b, c)):
        assert x.merge(y).merge(z) == x.merge(y.merge(z)) == expected


def test_sampling_ranks_are_uniform_fixed_and_differ_by_seed():
    tokens = np.arange(100_000)
    rank = sampling_rank(tokens, seed=3)
    assert 0 <= rank.min() <= rank.max() < 2**31
    counts, _ = np.histogram(rank / 2**31, bins=20, range=(0, 1))
    assert np.abs(counts - 5000).max() < 350
    assert abs(np.corrcoef(rank, sampling_rank(tokens, seed=4))[0, 1]) < 0.02
    assert abs(np.corrcoef(rank[1:], rank[:-1])[0, 1]) < 0.02
    assert sampling_rank(np.array([0, 12345]), seed=3).tolist() == rank[[0, 12345]].tolist()


def slow_sampling_rank(token_index: int, seed: int) -> int:
    """The same in Python's whole numbers, one 64-bit step after the other."""
    x = (token_index + 1) * 0x9E3779B97F4A7C15 % 2**64
    x ^= (seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return (x ^ x >> 31) >> 33


@given(st.integers(0, MAX_TOKEN_INDEX), st.integers(0, 2**63))
def test_sampling_ranks_equal_the_formula(token_index, seed):
    assert sampling_rank(np.array([token_index]), seed)[0] == slow_sampling_rank(token_index, seed)


def test_sampling_ranks_never_change():
    """Sealed files of an interrupted run are merged with new ones, so the hash is part of their format."""
    assert sampling_rank(np.array([0, 1, MAX_TOKEN_INDEX]), 0).tolist() == [
        1766294088,
        1970575330,
        1921371979,
    ]
