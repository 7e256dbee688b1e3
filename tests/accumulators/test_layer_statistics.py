"""Statistics accumulated by torch are those of the numpy path: to the last bit, but for the rounding of sums."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import app.accumulators.active_pairs
from app.accumulators.batches import ShardTokens
from app.accumulators.layer_statistics import LayerStatistics, statistics_device
from app.accumulators.sums import LayerSums
from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape
from tests.support.pair_batches import (
    accumulated,
    assert_same_to_rounding,
    assert_sums_agree,
    folded,
    pair_batch,
    tokens_of,
)
from tests.support.partial_batches import SEED, batches, empty_partial, joined, make_batch
from tests.support.torch_operations import ORDERLESS, Operations


@pytest.fixture(params=[1, 7, 2**18])
def fewest_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many pairs wait at least, from none to all of them."""
    monkeypatch.setattr(app.accumulators.active_pairs, "FEWEST_WAITING", request.param)
    return request.param


def many(n_batches: int, d_sae: int = 40, n_tokens: int = 60, l0: int = 12) -> Iterator[FeatureBatch]:
    """Batches in which some features are active on every token, many on few; activations over many octaves."""
    random = np.random.default_rng(4)
    for i in range(n_batches):
        always = [(token, feature) for token in range(n_tokens) for feature in (0, 1)]
        others = [
            (token, int(feature))
            for token in range(n_tokens)
            for feature in random.choice(np.arange(2, d_sae), l0, replace=False)
        ]
        pairs = always + others
        activation = np.exp2(random.normal(0, 4, len(pairs))).round(3) + 1e-3
        batch = make_batch(3 + i * n_tokens, n_tokens, pairs, activation, random)
        contribution = random.normal(3, 1, batch.contribution.shape).astype(np.float32)
        yield replace(batch, contribution=contribution, pre_activation=contribution.sum(1))


LARGE = FeaturePartial.empty("plan", FeatureShape(40, 2, 3), SEED, None, 20, 5)


@given(batches(3))
def test_it_is_the_partial_of_numpy(drawn):
    assert_same_to_rounding(accumulated(drawn), folded(drawn))


def test_so_it_is_however_many_pairs_wait(fewest_waiting):
    drawn = list(many(8))
    assert_same_to_rounding(accumulated(drawn, LARGE), folded(drawn, LARGE), 1e-14)


@settings(max_examples=40)
@given(batches(4), st.integers(1, 9))
def test_ties_and_new_maxima_are_met_at_every_batch(drawn, n):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.accumulators.active_pairs, "FEWEST_WAITING", n)
        assert_same_to_rounding(accumulated(drawn), folded(drawn))


def test_sums_of_features_active_on_every_token_agree_too():
    drawn = list(many(8))
    partial = accumulated(drawn, LARGE)
    assert partial.n_active.total[0] == 8 * 60
    assert_sums_agree(partial.sums, folded([joined(drawn)], LARGE).sums, rounding=1e-14)  # one batch


def test_the_same_batches_give_the_same_bits():
    drawn = list(many(4))
    assert accumulated(drawn, LARGE) == accumulated(drawn, LARGE)


def test_deviations_do_not_vanish_beside_a_large_mean():
    random = np.random.default_rng(0)
    batch = make_batch(3, 64, [(token, 1) for token in range(64)], [1.0] * 64, random)
    far = replace(batch, contribution=batch.contribution + np.float32(2**20), z=batch.z + np.float32(2**20))
    tokens = tokens_of([far])
    sums = LayerSums(empty_partial(0).sums, torch.device("cpu"))
    sums.add(pair_batch(far, tokens))
    exact = far.contribution.astype(np.float64)
    assert sums.total().active.m2_c[1] == pytest.approx(((exact - exact.mean(0)) ** 2).sum(0), rel=1e-12)


def test_a_layer_without_batches_or_pairs_is_empty():
    assert accumulated([]) == empty_partial(0)
    nothing = make_batch(3, 0, [], [], np.random.default_rng(0))
    silent = make_batch(3, 5, [], [], np.random.default_rng(0))
    sums = LayerSums(empty_partial(0).sums, torch.device("cpu"))
    sums.add(pair_batch(nothing, tokens_of([])))
    sums.add(pair_batch(silent, tokens_of([])))
    assert_sums_agree(sums.total(), folded([nothing, silent]).sums)


def test_a_shard_may_be_read_before_it_is_done():
    drawn = list(many(4))
    tokens = tokens_of(drawn)
    statistics = LayerStatistics(LARGE, tokens)
    for i, batch in enumerate(drawn):
        statistics.add(pair_batch(batch, tokens))
        assert_same_to_rounding(statistics.partial(), folded(drawn[: i + 1], LARGE), 1e-14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"activation": np.array([1, np.inf], np.float32)}, "positive and finite|must be finite"),
        ({"contribution": np.full((2, 2), np.inf, np.float32)}, "not finite"),
        ({"pre_activation": np.full(2, np.nan, np.float32)}, "not finite"),
        ({"z": np.full((6, 3), np.nan, np.float32)}, "not finite"),
        ({"squared_error": float("nan")}, "finite"),
    ],
)
def test_values_that_are_not_finite_are_refused(change, message):
    batch = make_batch(3, 6, [(0, 0), (1, 1)], [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        accumulated([replace(batch, **change)])


def test_a_shard_beyond_the_last_token_index_is_refused():
    with pytest.raises(ValueError, match="token indices"):
        ShardTokens.of(2**32 - 2, np.zeros(3, np.int64), SEED)


def test_statistics_are_where_the_activations_are_if_float64_is():
    assert statistics_device("cuda:1") == torch.device("cuda:1")
    assert statistics_device("mps") == statistics_device("cpu") == torch.device("cpu")


def test_no_operation_adds_in_an_order_of_its_own():
    drawn = list(many(3))
    with Operations() as operations:
        accumulated(drawn, LARGE)
    used = {name.rstrip("_") for name in operations.names}
    assert {"segment_reduce", "sort", "addmm"} <= used
    assert not used & ORDERLESS


def test_a_batch_waits_for_the_device_once():
    """nonzero and numbers that Python reads stop the host until the device has them; nothing else comes back."""
    drawn = list(many(2))
    tokens = tokens_of(drawn)
    statistics = LayerStatistics(LARGE, tokens)
    given_batches = [pair_batch(batch, tokens) for batch in drawn]
    for batch in given_batches:
        with Operations() as operations:
            statistics.add(batch)
        waits = [name for name in operations.names if name in Operations.THAT_WAIT]
        assert waits == ["nonzero"]
