"""Features of a small run, drawn at random: what pages rely on is true of them, as shares that sum to 1."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.evidence import KINDS
from app.domain.records import (
    N_INTERVAL_EXAMPLES,
    N_INTERVALS,
    N_TOP_EXAMPLES,
    Evidence,
    ExampleGroup,
    FeatureRecord,
    FveByHead,
    Histogram,
    SimilarFeatures,
    TokenLogits,
)
from app.domain.refs import FeatureRef
from app.store.atlas.feature_blobs import (
    COLUMNS,
    pack_examples,
    pack_features,
    unpack_examples,
    unpack_feature,
)
from tests.support.example_data import RunShape, make_examples
from tests.support.record_data import random_record


def _groups(largest: float) -> tuple[ExampleGroup, ...]:
    groups = [ExampleGroup("top", 0.7 * largest, largest, N_TOP_EXAMPLES, 0.04, 0, N_TOP_EXAMPLES)]
    for i in range(N_INTERVALS):
        start = N_TOP_EXAMPLES + i * N_INTERVAL_EXAMPLES
        upper = largest * (1 - i / N_INTERVALS)
        lower = largest * (1 - (i + 1) / N_INTERVALS)
        name = f"interval {i + 1}"
        groups.append(
            ExampleGroup(
                name, lower, upper, 100 * (i + 1), 0.06 * (i + 1), start, start + N_INTERVAL_EXAMPLES
            )
        )
    return tuple(groups)


def _logits(rng: np.random.Generator, n_tokens: int, shape: tuple[int, ...], sign: float) -> TokenLogits:
    ids = np.stack([rng.permutation(n_tokens)[: shape[-1]] for _ in range(int(np.prod(shape[:-1])) or 1)])
    logit = sign * -np.sort(-np.abs(rng.normal(0, 2, (len(ids), shape[-1]))), axis=-1)
    return TokenLogits(ids.reshape(shape).astype(np.int32), logit.reshape(shape).astype(np.float32))


def make_feature(
    rng: np.random.Generator, shape: RunShape, ref: FeatureRef, sequences: NDArray[np.int32], n_tokens: int
) -> FeatureRecord:
    largest = float(rng.uniform(2, 9))
    groups = _groups(largest)
    drawn = [np.sort(rng.uniform(g.lower, g.upper, g.stop - g.start))[::-1] for g in groups]
    activation = np.concatenate(drawn).astype(np.float32)
    activation[0] = largest
    norm = rng.dirichlet(np.full(shape.n_heads, 0.6)).astype(np.float32) + np.float32(0.01)
    share = rng.dirichlet(np.full(shape.n_heads, 0.6))
    fve = FveByHead(share, share * 0.9, share**0.5)
    examples = make_examples(rng, shape, sequences, activation)
    drawn = [kind for kind in KINDS if kind != "induction_fuzzy"]
    counts = {kind: rng.integers(0, N_TOP_EXAMPLES + 1, shape.n_heads) for kind in drawn}
    # A source at BOS shows nothing else.
    counts["bos"] = (examples.source[:N_TOP_EXAMPLES, :, 0] == 0).sum(0)
    counts = {
        k: n if k == "bos" else np.minimum(n, N_TOP_EXAMPLES - counts["bos"]) for k, n in counts.items()
    }
    counts["induction_fuzzy"] = np.minimum(counts["induction"] + 1, N_TOP_EXAMPLES - counts["bos"])
    # What is said below is what pages rely on; any other number that is declared is random.
    sizes = {"n": 1, "heads": shape.n_heads, "context": shape.context}
    unsaid: FeatureRecord = random_record(FeatureRecord, np.random.default_rng(ref.index), sizes)
    return replace(
        unsaid,
        ref=ref,
        n_active=1500,
        density=1500 / 9e5,
        mean_activation=largest / 3,
        max_activation=largest,
        decoder_weight_norm=norm,
        decoder_weight_share=norm / norm.sum(),
        fve_active=fve,
        fve_all=replace(fve, residual=share * 0.5),
        promoted=_logits(rng, n_tokens, (20,), 1),
        suppressed=_logits(rng, n_tokens, (20,), -1),
        head_promoted=_logits(rng, n_tokens, (shape.n_heads, 10), 1),
        head_suppressed=_logits(rng, n_tokens, (shape.n_heads, 10), -1),
        logit_histogram=Histogram(np.linspace(-4, 4, 41), rng.integers(0, 900, 40)),
        activation_histogram=Histogram(
            np.linspace(0, largest, 21), np.geomspace(900, 2, 20).astype(np.int64)
        ),
        evidence=Evidence(N_TOP_EXAMPLES, counts),
        groups=groups,
        worst_residual=float(examples.residual.max()),
        examples=examples,
        top_logit=(share * 4).astype(np.float32),
    )


def dead_feature(feature: FeatureRecord) -> FeatureRecord:
    """The same weights, never active: no examples, no variance, nothing to count."""
    return replace(
        feature,
        n_active=0,
        density=0.0,
        mean_activation=0.0,
        max_activation=0.0,
        fve_active=None,
        fve_all=None,
        activation_histogram=Histogram(np.array([0.0, 1.0]), np.array([0])),
        evidence=Evidence(0, {kind: np.zeros_like(n) for kind, n in feature.evidence.counts.items()}),
        groups=(),
        worst_residual=0.0,
        examples=None,
    )


def similar_to(feature: FeatureRecord, features: list[FeatureRecord]) -> SimilarFeatures:
    """Three other features of its layer, as those whose decoders are most like its own."""
    others = [other.ref.index for other in features if other.ref.layer == feature.ref.layer]
    others = [index for index in others if index != feature.ref.index][:3]
    return SimilarFeatures(np.array(others), np.linspace(0.9, 0.1, len(others)).astype(np.float32))


def as_stored(feature: FeatureRecord) -> FeatureRecord:
    """The feature with its numbers rounded as a store rounds them, so that pages can be compared with it."""
    row: Any = SimpleNamespace(
        layer=feature.ref.layer,
        feature_index=feature.ref.index,
        data=pack_features([feature])[0],
        **{name: getattr(feature, name) for name in COLUMNS},
    )
    examples = feature.examples
    return unpack_feature(row, examples and unpack_examples(pack_examples([examples], [feature.ref])[0]))
