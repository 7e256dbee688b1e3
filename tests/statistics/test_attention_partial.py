"""The laws of an attention partial, and what it counts against a slow loop over the batches."""

import itertools
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.attention import PICTURE_POOL
from app.statistics.attention_partial import AttentionBatch, AttentionPartial, AttentionShape
from app.statistics.leaves import OverlappingShards, Shards
from app.statistics.partial import Partial
from app.statistics.payloads import Payloads
from app.statistics.token_mass import TokenMass
from tests.support.partial_batches import (
    assert_same,
    first_of_texts,
    slow_interval_members,
    slow_sample,
    text_of,
)

N_HEADS, CONTEXT, SEED, N_TOP, N_SAMPLE = 3, 5, 7, 12, 2
WEIGHTS = (1e-45, 0.05, 0.25, 0.5, 0.99999994, 1.0)  # denormals, ties, and all there is


@st.composite
def batches(draw, n_batches: int) -> list[AttentionBatch]:
    """Batches of consecutive sequences, some empty; the last head is never ranked."""
    drawn, start = [], 3
    for _ in range(n_batches):
        n = draw(st.integers(0, 6))
        cells = st.tuples(st.integers(0, N_HEADS - 2), st.integers(0, n - 1))
        pairs = draw(st.lists(cells, unique=True, max_size=12)) if n else []
        weights = draw(st.lists(st.sampled_from(WEIGHTS), min_size=len(pairs), max_size=len(pairs)))
        drawn.append(make_batch(start, n, pairs, weights, draw(st.integers(0, 2**32 - 1))))
        start += n
    return drawn


def make_batch(start, n, pairs, weights, seed) -> AttentionBatch:
    random = np.random.default_rng(seed)

    def by_token() -> TokenMass:
        return TokenMass.of(
            random.integers(0, 4, n), random.integers(0, 2, (n, N_HEADS)), random.random((n, N_HEADS))
        )

    return AttentionBatch(
        n_destinations=n,
        head=np.array([head for head, _ in pairs], dtype=np.int64),
        token_index=np.array([start + token for _, token in pairs], dtype=np.int64),
        text=text_of(np.array([start + token for _, token in pairs], dtype=np.int64)),
        weight=np.array(weights, dtype=np.float32),
        sink_mass=random.random(N_HEADS),
        first_sink_mass=random.random(N_HEADS),
        distance=random.random((N_HEADS, CONTEXT)),
        read_from=by_token(),
        read=by_token(),
        sinks=by_token(),
    )


def empty(*shards: int) -> AttentionPartial:
    shape = AttentionShape(N_HEADS, CONTEXT)
    return AttentionPartial.empty("plan", shape, SEED, Shards.of(*shards), N_TOP, N_SAMPLE)


def rows_for(head, token_index, name: str) -> Payloads:
    return Payloads.of(head, token_index, {name: (head * 1000 + token_index).astype(np.int32)})


def counted(shard: int, drawn: list[AttentionBatch]) -> AttentionPartial:
    partial = empty(shard)
    for batch in drawn:
        partial = partial.update(batch)
        partial = partial.with_payloads(
            rows_for(*partial.without_payload(), "source"), rows_for(*partial.without_picture(), "picture")
        )
    return partial


def joined(drawn: list[AttentionBatch]) -> AttentionBatch:
    def all_of(name: str) -> np.ndarray:
        return np.concatenate([getattr(batch, name) for batch in drawn])

    sums = ("n_destinations", "sink_mass", "first_sink_mass", "distance")
    tokens = ("read_from", "read", "sinks")
    return AttentionBatch(
        **{name: all_of(name) for name in ("head", "token_index", "text", "weight")},
        **{name: sum(getattr(batch, name) for batch in drawn) for name in sums},
        **{name: reduce(TokenMass.merge, [getattr(batch, name) for batch in drawn]) for name in tokens},
    )


@given(batches(3))
def test_groups_equal_a_slow_loop(drawn):
    partial, batch = counted(0, drawn), joined(drawn)
    for head in range(N_HEADS):
        ranked = [
            (float(batch.weight[i]), int(batch.token_index[i])) for i, h in enumerate(batch.head) if h == head
        ]
        groups = partial.groups(head)
        if not ranked:
            assert groups == ()
            continue
        best = first_of_texts(
            [token for _, token in sorted(ranked, key=lambda pair: (-pair[0], pair[1]))], N_TOP
        )
        assert groups[0].token_index.tolist() == best[:N_TOP]
        for group, members in zip(groups[1:], reversed(slow_interval_members(ranked)), strict=True):
            assert group.n_tokens == len(members)
            assert group.token_index.tolist() == slow_sample([token for _, token in members], N_SAMPLE, SEED)
            stored = partial.payloads.rows(head, group.token_index)["source"]
            assert stored.tolist() == [head * 1000 + token for token in group.token_index]
        pictures = partial.pictures.rows(head, groups[0].token_index[:PICTURE_POOL])["picture"]
        assert pictures.tolist() == [head * 1000 + token for token in best[:PICTURE_POOL]]
        assert len(partial.pictures.of_feature(head)) == len(pictures)


@given(batches(2))
def test_sums_by_token_equal_a_slow_loop(drawn):
    partial = reduce(AttentionPartial.update, drawn, empty(0))
    assert partial.n_destinations.total == sum(batch.n_destinations for batch in drawn)
    np.testing.assert_allclose(partial.distance.total, sum(batch.distance for batch in drawn))
    for token, head in itertools.product(range(4), range(N_HEADS)):
        n, mass = 0, 0.0
        for batch in drawn:
            for row, each in enumerate(batch.read.token.tolist()):
                if each == token:
                    n += int(batch.read.n[row, head])
                    mass += float(batch.read.mass[row, head])
        at = np.flatnonzero(partial.read.token == token)
        assert partial.read.n[at, head].sum() == n
        assert partial.read.mass[at, head].sum() == pytest.approx(mass)


@given(batches(4))
@settings(max_examples=12)
def test_any_order_and_bracketing(drawn):
    partials = [counted(shard, [batch]) for shard, batch in enumerate(drawn)]
    expected = reduce(Partial.merge, partials)
    for a, b, c, d in itertools.permutations(partials):
        assert_same(a.merge(b).merge(c.merge(d)), expected)
        assert_same(a.merge(b.merge(c)).merge(d), expected)


@given(batches(2))
def test_one_update_or_two_whatever_the_order_of_pairs(drawn):
    one, two = counted(0, [joined(drawn)]), counted(0, drawn)
    assert_same(one, two)
    batch = joined(drawn)
    order = np.argsort(-batch.token_index)
    flipped = {name: getattr(batch, name)[order] for name in ("head", "token_index", "text", "weight")}
    assert empty(0).update(AttentionBatch(**{**vars(batch), **flipped})) == empty(0).update(batch)


@given(batches(2))
def test_identity_immutability_and_loading(drawn):
    a, b = counted(0, drawn[:1]), counted(1, drawn[1:])
    before = {name: array.copy() for name, array in a.to_arrays().items()}
    a.merge(b)
    a.update(drawn[1])
    assert all(np.array_equal(array, before[name]) for name, array in a.to_arrays().items())
    assert a.merge(empty()) == empty().merge(a) == a
    assert AttentionPartial.from_arrays(a.to_arrays()) == a
    with pytest.raises(OverlappingShards):
        a.merge(a)


def test_wrong_batches_are_refused():
    pairs = [(0, 1), (1, 1)]

    def changed(**columns: object) -> AttentionBatch:
        return AttentionBatch(**{**vars(make_batch(0, 2, pairs, [0.5, 0.25], 1)), **columns})

    for batch, match in (
        (changed(head=np.array([0, N_HEADS])), "heads"),
        (changed(head=np.array([0, 0])), "twice"),
        (changed(head=np.array([0])), "length"),
        (changed(text=np.array([0])), "length"),
        (changed(weight=np.float32([0.5, 0])), "positive"),
        (changed(sink_mass=np.array([1, 2, np.nan])), "finite"),
        (changed(distance=np.zeros((N_HEADS, CONTEXT + 1))), "shape"),
        (changed(read=TokenMass.empty(N_HEADS + 1)), "heads"),
    ):
        with pytest.raises(ValueError, match=match):
            empty().update(batch)
    with pytest.raises(ValueError, match="finite"):
        TokenMass.of(np.zeros(1, np.int64), np.ones((1, 2)), np.full((1, 2), np.inf))
    with pytest.raises(ValueError, match="length"):
        TokenMass.of(np.zeros(2, np.int64), np.ones((1, 2)), np.ones((1, 2)))
