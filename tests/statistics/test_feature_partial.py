"""The laws of a feature partial, and every statistic against a slow loop."""

import itertools
import time
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape
from app.statistics.leaves import OverlappingShards, Shards
from app.statistics.partial import IncompatiblePartials, Partial
from tests.support.partial_batches import (
    N_SAMPLE,
    N_TOP,
    SEED,
    SHAPE,
    assert_same,
    batches,
    counted,
    empty_partial,
    first_of_texts,
    joined,
    make_batch,
    payloads_for,
    slow_interval_members,
    slow_intervals,
    slow_sample,
)
from tests.support.time_limits import less_than


def active_pairs(batch: FeatureBatch, feature: int) -> list[int]:
    return [i for i, f in enumerate(batch.feature) if f == feature]


@given(batches(2))
def test_counts_and_sums_equal_a_slow_loop(drawn):
    batch = joined(drawn)
    partial = reduce(FeaturePartial.update, drawn, empty_partial(0))
    assert partial.n_tokens.total == batch.n_tokens
    assert partial.squared_error.total == pytest.approx(batch.squared_error)
    for f in range(SHAPE.d_sae):
        rows = active_pairs(batch, f)
        activation = [float(batch.activation[i]) for i in rows]
        assert partial.n_active.total[f] == len(rows)
        assert partial.activation_sum.total[f] == pytest.approx(sum(activation))
        assert partial.max_activation[f] == max(activation, default=0)
        assert partial.histogram.of_feature(f)[1].sum() == len(rows)
    if batch.n_tokens:
        l0 = len(batch.feature) / batch.n_tokens
        assert partial.l0() == pytest.approx(l0)
        assert partial.density().sum() == pytest.approx(l0)


@given(batches(2))
def test_active_moments_equal_their_definitions(drawn):
    batch = joined(drawn)
    active = reduce(FeaturePartial.update, drawn, empty_partial(0)).active
    for f in range(SHAPE.d_sae):
        rows = active_pairs(batch, f)
        if not rows:
            assert active.n[f] == active.m2_p[f] == 0
            continue
        p = batch.pre_activation[rows].astype(np.float64)
        assert active.mean_p[f] == pytest.approx(sum(p) / len(p))
        assert active.m2_p[f] == pytest.approx(sum((p - p.mean()) ** 2), abs=1e-12)
        for h in range(SHAPE.n_heads):
            c = batch.contribution[rows, h].astype(np.float64)
            assert active.m2_c[f, h] == pytest.approx(sum((c - c.mean()) ** 2), abs=1e-12)
            co = sum((a - c.mean()) * (b - p.mean()) for a, b in zip(c, p, strict=True))
            assert active.co_cp[f, h] == pytest.approx(co, abs=1e-12)
        # Heads and a constant bias make up p, so their covariances with it sum to its variance.
        assert active.co_cp[f].sum() == pytest.approx(active.m2_p[f], abs=1e-5)


@given(batches(3))
def test_groups_equal_a_slow_loop(drawn):
    batch = joined(drawn)
    partial = reduce(FeaturePartial.update, drawn, empty_partial(0))
    for f in range(SHAPE.d_sae):
        active = [(float(batch.activation[i]), int(batch.token_index[i])) for i in active_pairs(batch, f)]
        groups = partial.activation_groups(f)
        if not active:
            assert groups == ()
            continue
        by_token = {t: a for a, t in active}
        best = first_of_texts([t for _, t in sorted(active, key=lambda pair: (-pair[0], pair[1]))], N_TOP)
        assert groups[0].token_index.tolist() == best
        assert (groups[0].lower, groups[0].upper) == (by_token[best[-1]], by_token[best[0]])
        members, edges = slow_interval_members(active), slow_intervals(by_token[best[0]])
        for i, group in enumerate(reversed(groups[1:])):
            assert group.n_tokens == len(members[i])
            assert group.token_index.tolist() == slow_sample([t for _, t in members[i]], N_SAMPLE, SEED)
            assert (group.lower, group.upper) == (edges[i], edges[i + 1])
        assert sum(group.n_tokens for group in groups[1:]) == len(active)


@given(batches(3))
def test_updates_one_by_one_equal_one_update(drawn):
    assert_same(
        reduce(FeaturePartial.update, drawn, empty_partial(0)), empty_partial(0).update(joined(drawn))
    )


@given(batches(1), st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(drawn, random):
    batch = drawn[0]
    order = random.sample(range(len(batch.feature)), len(batch.feature))
    names = ("token_index", "text", "feature", "activation", "pre_activation", "contribution")
    shuffled = replace(batch, **{name: getattr(batch, name)[order] for name in names})
    assert empty_partial(0).update(shuffled) == empty_partial(0).update(batch)


@given(batches(2))
def test_the_empty_partial_is_the_identity(drawn):
    partial = counted(3, drawn)
    assert partial.merge(empty_partial()) == partial
    assert empty_partial().merge(partial) == partial


@settings(max_examples=30)
@given(batches(4))
def test_any_order_and_bracketing(drawn):
    partials = [counted(i, [batch]) for i, batch in enumerate(drawn)]
    expected = reduce(Partial.merge, partials)
    assert_same(expected, replace(counted(0, drawn), shards=expected.shards))
    for a, b, c, d in itertools.permutations(partials):
        assert_same(a.merge(b).merge(c).merge(d), expected)
        assert_same(a.merge(b).merge(c.merge(d)), expected)
        assert_same(a.merge(b.merge(c.merge(d))), expected)


@given(batches(2))
def test_inputs_are_unchanged(drawn):
    a, b = counted(0, drawn[:1]), counted(1, drawn[1:])
    before = [{name: array.copy() for name, array in p.to_arrays().items()} for p in (a, b)]
    a.merge(b)
    a.update(drawn[1])
    for partial, arrays in zip((a, b), before, strict=True):
        assert FeaturePartial.from_arrays(arrays) == partial


@given(batches(2))
def test_load_of_save_is_the_same(drawn):
    partial = counted(0, drawn)
    assert FeaturePartial.from_arrays(partial.to_arrays()) == partial
    assert partial != partial.update(drawn[0]) or not drawn[0].n_tokens


@given(batches(3))
def test_payloads_are_those_of_the_kept_tokens(drawn):
    partials = [counted(i, [batch]) for i, batch in enumerate(drawn)]
    merged = reduce(Partial.merge, partials)
    features = np.array([0, 2])
    expected = payloads_for(*merged.winners(features))
    assert merged.payloads.key.tolist() == expected.key.tolist()
    assert not len(merged.winners_without_payload(features)[0])
    if len(expected):
        assert merged.payloads == expected


def test_winners_are_the_union_of_top_and_sample():
    pairs = [(t, f) for t in range(6) for f in (0, 1)]
    batch = make_batch(0, 6, pairs, [1.0] * len(pairs), np.random.default_rng(0))
    partial = empty_partial(0).update(batch)
    sampled = slow_sample(list(range(6)), N_SAMPLE, SEED)
    expected = sorted({*first_of_texts(list(range(6)), N_TOP)} | set(sampled))
    feature, token_index = partial.winners()
    assert token_index[feature == 0].tolist() == token_index[feature == 1].tolist() == expected
    assert partial.winners(np.array([1]))[0].tolist() == [1] * len(expected)


def test_fvu_is_error_over_variance():
    random = np.random.default_rng(0)
    batch = replace(make_batch(0, 6, [], [], random), squared_error=2.0)
    variance = sum(float(np.sum((row - batch.z.mean(axis=0)) ** 2)) for row in batch.z)
    assert empty_partial(0).update(batch).fvu() == pytest.approx(2.0 / variance, rel=1e-5)
    assert np.isnan(empty_partial(0).fvu())
    assert np.isnan(empty_partial(0).l0())


def test_merging_twice_or_across_plans_is_refused():
    with pytest.raises(OverlappingShards, match="shard 2, 4"):
        empty_partial(2, 3, 4).merge(empty_partial(2, 4, 5))
    with pytest.raises(IncompatiblePartials, match="'other'"):
        empty_partial(0).merge(empty_partial(1, plan="other"))


@pytest.mark.parametrize(
    "other",
    [
        FeaturePartial.empty("plan", replace(SHAPE, d_sae=1), SEED, Shards.of(1), N_TOP, N_SAMPLE),
        FeaturePartial.empty("plan", replace(SHAPE, n_heads=1), SEED, Shards.of(1), N_TOP, N_SAMPLE),
        FeaturePartial.empty("plan", replace(SHAPE, d_in=1), SEED, Shards.of(1), N_TOP, N_SAMPLE),
        FeaturePartial.empty("plan", SHAPE, SEED + 1, Shards.of(1), N_TOP, N_SAMPLE),
        FeaturePartial.empty("plan", SHAPE, SEED, Shards.of(1), N_TOP + 1, N_SAMPLE),
        FeaturePartial.empty("plan", SHAPE, SEED, Shards.of(1), N_TOP, N_SAMPLE + 1),
    ],
)
def test_other_shapes_and_settings_never_broadcast(other):
    with pytest.raises(ValueError, match="cannot merge"):
        empty_partial(0).merge(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_tokens": 7}, "length"),
        ({"activation": np.ones(3, np.float32)}, "length"),
        ({"text": np.ones(3, np.int64)}, "length"),
        ({"activation": np.array([1, np.nan], np.float32)}, "positive and finite"),
        ({"activation": np.array([1, 0], np.float32)}, "positive and finite"),
        ({"feature": np.array([0, 4])}, "feature indices"),
        ({"feature": np.array([-1, 0])}, "feature indices"),
        ({"token_index": np.array([0, -1])}, "token indices"),
        ({"token_index": np.array([0, 2**32])}, "token indices"),
        ({"token_index": np.array([1, 1]), "feature": np.array([2, 2])}, "twice"),
        ({"contribution": np.ones((2, 3), np.float32)}, "contributions"),
        ({"contribution": np.full((2, 2), np.inf, np.float32)}, "not finite"),
        ({"pre_activation": np.full(2, np.nan, np.float32)}, "not finite"),
        ({"z": np.full((6, 3), np.nan, np.float32)}, "not finite"),
        ({"z": np.ones((6, 4), np.float32)}, "cannot merge"),
        ({"squared_error": float("nan")}, "finite"),
    ],
)
def test_a_wrong_batch_is_refused(change, message):
    batch = make_batch(0, 6, [(0, 0), (1, 1)], [1.0, 2.0], np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        empty_partial(0).update(replace(batch, **change))


def test_an_update_takes_less_than_half_a_second_of_one_core():
    random, n_tokens, n_pairs = np.random.default_rng(0), 4096, 130_000
    shape = FeatureShape(d_sae=2304, n_heads=9, d_in=576)
    token, feature = np.divmod(random.choice(n_tokens * shape.d_sae, n_pairs, replace=False), shape.d_sae)
    batch = FeatureBatch(
        n_tokens=n_tokens,
        token_index=token,
        text=token,
        feature=feature.astype(np.int32),
        activation=random.lognormal(size=n_pairs).astype(np.float32),
        pre_activation=random.normal(size=n_pairs).astype(np.float32),
        contribution=random.normal(size=(n_pairs, shape.n_heads)).astype(np.float32),
        z=random.normal(size=(n_tokens, shape.d_in)).astype(np.float32),
        squared_error=1.0,
    )
    partial = FeaturePartial.empty("plan", shape, SEED).update(batch)
    later = replace(batch, token_index=token + n_tokens, text=token + n_tokens)
    partial.update(later)  # once before: the first call makes what later ones have
    with less_than(0.5, time.process_time):
        partial.update(later)
