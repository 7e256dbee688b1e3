"""Small batches full of ties, dead features, empty batches and denormals, and slow references for them."""

from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from app.statistics.arrays import Record
from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape
from app.statistics.kept_tokens import sampling_rank
from app.statistics.leaves import Shards
from app.statistics.payloads import Payloads

SHAPE = FeatureShape(d_sae=4, n_heads=2, d_in=3)
SEED = 11
N_TOP = 3
N_SAMPLE = 2
MAX_BATCH = 8
# Denormals, both sides of bin edges, ties, and jumps that collapse every lower bin.
ACTIVATIONS = (
    1e-45,
    3e-45,
    1.1754944e-38,
    0.21,
    0.25,
    0.5,
    0.99999994,
    1.0,
    1.25,
    1.5,
    1.75,
    2.0,
    2.4,
    9.0,
    300.0,
)
EDGES = [
    *(Fraction(m, 4) * Fraction(2) ** -126 for m in range(4)),
    *((1 + Fraction(m, 4)) * Fraction(2) ** e for e in range(-126, 128) for m in range(4)),
    Fraction(2) ** 128,
]


@st.composite
def batches(draw, n_batches: int) -> list[FeatureBatch]:
    """Batches of consecutive token ranges, some without pairs and some without tokens."""
    drawn, start = [], 5
    for _ in range(n_batches):
        n_tokens = draw(st.integers(0, MAX_BATCH))
        cells = st.tuples(
            st.integers(0, n_tokens - 1), st.integers(0, SHAPE.d_sae - 2)
        )  # the last stays dead
        pairs = draw(st.lists(cells, unique=True, max_size=16)) if n_tokens else []
        activation = draw(st.lists(st.sampled_from(ACTIVATIONS), min_size=len(pairs), max_size=len(pairs)))
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        drawn.append(make_batch(start, n_tokens, pairs, activation, random))
        start += n_tokens
    return drawn


def text_of(token_index: np.ndarray) -> np.ndarray:
    """Every third token repeats the text of the one before it, negative keys among them."""
    return -(token_index - (token_index % 3 == 2))


def first_of_texts(tokens: list[int], k: int) -> list[int]:
    """The first k tokens whose text none before has."""
    best: dict[int, int] = {}
    for token in tokens:
        best.setdefault(int(text_of(np.array([token]))[0]), token)
    return list(best.values())[:k]


def make_batch(start, n_tokens, pairs, activation, random) -> FeatureBatch:
    contribution = random.integers(-4, 5, (len(pairs), SHAPE.n_heads)).astype(np.float32) / 3
    return FeatureBatch(
        n_tokens=n_tokens,
        token_index=np.array([start + t for t, _ in pairs], dtype=np.int64),
        text=text_of(np.array([start + t for t, _ in pairs], dtype=np.int64)),
        feature=np.array([f for _, f in pairs], dtype=np.int32),
        activation=np.array(activation, dtype=np.float32),
        pre_activation=contribution.sum(axis=1) + np.float32(0.25),
        contribution=contribution,
        z=random.normal(3, 1, (n_tokens, SHAPE.d_in)).astype(np.float32),
        squared_error=float(random.uniform(0, n_tokens)),
    )


def joined(drawn: list[FeatureBatch]) -> FeatureBatch:
    arrays = ("token_index", "text", "feature", "activation", "pre_activation", "contribution", "z")
    return replace(
        drawn[0],
        n_tokens=sum(b.n_tokens for b in drawn),
        squared_error=sum(b.squared_error for b in drawn),
        **{name: np.concatenate([getattr(b, name) for b in drawn]) for name in arrays},
    )


def empty_partial(*shards: int, plan: str = "plan") -> FeaturePartial:
    return FeaturePartial.empty(plan, SHAPE, SEED, Shards.of(*shards), N_TOP, N_SAMPLE)


def payloads_for(feature, token_index) -> Payloads:
    """Rows that are a function of (feature, token), as the real ones are."""
    value = feature * 1000 + token_index
    return Payloads.of(
        feature,
        token_index,
        {"dfa": np.stack([value, -value], axis=1).astype(np.float32), "source": value.astype(np.int16)},
    )


def counted(shard: int, drawn: list[FeatureBatch]) -> FeaturePartial:
    """One shard's partial, payloads given after each batch to the tokens that win there."""
    partial = empty_partial(shard)
    for batch in drawn:
        partial = partial.update(batch)
        partial = partial.with_payloads(payloads_for(*partial.winners_without_payload(np.array([0, 2]))))
    return partial


def assert_same(a: Record, b: Record) -> None:
    """Equal, sums and moments up to float64 rounding."""
    mine, theirs = a.to_arrays(), b.to_arrays()
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        if array.dtype == np.float64:
            np.testing.assert_allclose(array, theirs[name], rtol=1e-10, atol=1e-10, err_msg=name)
        else:
            np.testing.assert_array_equal(array, theirs[name], err_msg=name, strict=True)


def slow_intervals(maximum: float) -> list[Fraction]:
    """The six edges: equal width in (0, max], each inner one moved to the nearest bin edge, ties up."""
    lower_of_maximum = EDGES[bisect_right(EDGES, Fraction(maximum)) - 1]
    inner = []
    for i in range(1, 5):
        exact = Fraction(maximum * i / 5)
        at = bisect_right(EDGES, exact)
        nearest = min(EDGES[at - 1 : at + 1], key=lambda edge: (abs(edge - exact), -edge))
        inner.append(min(nearest, lower_of_maximum))
    return [Fraction(0), *inner, Fraction(maximum)]


def slow_interval_members(active: list[tuple[float, int]]) -> list[list[tuple[float, int]]]:
    """(activation, token) by interval; the last interval holds the maximum."""
    edges = slow_intervals(max(a for a, _ in active))
    members: list[list[tuple[float, int]]] = [[] for _ in range(5)]
    for a, t in active:
        for i in range(5):
            if edges[i] <= a and (a < edges[i + 1] or (i == 4 and a == edges[5])):
                members[i].append((a, t))
    return members


def slow_sample(tokens: list[int], k: int, seed: int) -> list[int]:
    rank = {t: int(sampling_rank(np.array([t]), seed)[0]) for t in tokens}
    return first_of_texts(sorted(tokens, key=lambda t: (-rank[t], t)), k)
