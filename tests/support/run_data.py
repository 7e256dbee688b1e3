"""A small run of realistic shape for tests of services and pages: odd tokens, repeated phrases, true sums.

The numbers are random, but what the pages rely on is true of them: shares sum to 1, and matched prefixes are those of
the text.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from app.domain.attention import HeadAttention
from app.domain.evidence import KINDS
from app.domain.numbers import HeadNumbers
from app.domain.records import (
    N_INTERVAL_EXAMPLES,
    N_INTERVALS,
    N_TOP_EXAMPLES,
    RANKINGS,
    Evidence,
    ExampleGroup,
    FeatureRecord,
    FveByHead,
    HeadRanking,
    HeadRecord,
    Histogram,
    ModelRecord,
    RankedFeature,
    Ranking,
    RunRecord,
    RunReport,
    SaeRecord,
    SimilarFeatures,
    TokenLogits,
)
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.store.atlas import writes as runs
from app.store.atlas.attention import add_attention
from app.store.atlas.feature_blobs import (
    COLUMNS,
    pack_examples,
    pack_features,
    unpack_examples,
    unpack_feature,
)
from app.store.database.engine import open_store, write_session
from tests.support.attention_data import make_attention
from tests.support.corpus_documents import DATASETS, documents_of
from tests.support.example_data import RunShape, make_examples
from tests.support.odd_text import make_sequences, make_vocabulary
from tests.support.record_data import random_fields, random_record

SCORES = ("induction", "previous_token", "duplicate_token", "copying", "bos_attention", "entropy")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class StoredRun:
    """A run as it was written, to compare pages with."""

    slug: str
    record: RunRecord
    vocabulary: Vocabulary
    sequences: NDArray[np.int32]
    heads: list[HeadRecord]
    features: dict[FeatureRef, FeatureRecord]
    rankings: dict[tuple[HeadRef, Ranking], HeadRanking]
    attention: dict[HeadRef, HeadAttention]


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


def _similar(feature: FeatureRecord, features: list[FeatureRecord]) -> SimilarFeatures:
    others = [other.ref.index for other in features if other.ref.layer == feature.ref.layer]
    others = [index for index in others if index != feature.ref.index][:3]
    return SimilarFeatures(np.array(others), np.linspace(0.9, 0.1, len(others)).astype(np.float32))


def _ranking(features: list[FeatureRecord], head: HeadRef, ranking: Ranking) -> HeadRanking:
    def value(feature: FeatureRecord, by: Ranking) -> float:
        if by == "decoder_weight" or feature.fve_active is None:
            return float(feature.decoder_weight_share[head.head])
        return float(feature.fve_active.covariance_share[head.head])

    def order(by: Ranking) -> list[FeatureRef]:
        return [f.ref for f in sorted(features, key=lambda f: (-value(f, by), f.ref))]

    other = order("fve" if ranking == "decoder_weight" else "decoder_weight")
    values = {feature.ref: value(feature, ranking) for feature in features}
    places = (
        RankedFeature(ref, rank, values[ref], other.index(ref) + 1)
        for rank, ref in enumerate(order(ranking), 1)
    )
    return HeadRanking(head, ranking, tuple(places))


def _sae(layer: int) -> SaeRecord:
    return SaeRecord(
        layer=layer,
        name=f"tiny-z/{layer}",
        checksum=f"{layer:064x}",
        architecture="topk",
        d_in=32,
        d_sae=2304,
        hook_name=f"blocks.{layer}.attn.hook_z",
        processing="processed",
        normalize_activations="none",
        l0=31.5,
        fvu=0.21,
        n_dead=3,
        n_rare=4,
    )


def make_run(slug: str = "tiny", seed: int = 1, shape: RunShape | None = None) -> StoredRun:
    """Deterministic in its arguments. The last feature of the last SAE layer is dead and not ranked."""
    shape, rng, vocabulary = shape or RunShape(), np.random.default_rng(seed), make_vocabulary()
    sequences = make_sequences(rng, shape.n_sequences, shape.context, len(vocabulary))
    record = RunRecord(
        fingerprint=f"{seed:08x}" + "5eed" * 14,
        model=ModelRecord("org/Tiny", "main", shape.n_layers, shape.n_heads, 2, 8, 32, len(vocabulary), 0),
        corpus="python-docs",
        context_size=shape.context,
        n_sequences=shape.n_sequences,
        n_tokens=shape.n_sequences * (shape.context - 1),
        plan={"dtype": "float32", "seed": seed, "dataset": DATASETS},
        saes=tuple(_sae(layer) for layer in shape.sae_layers),
    )
    refs = [
        FeatureRef(layer, 7 * i + 3) for layer in shape.sae_layers for i in range(shape.features_per_layer)
    ]
    features = [make_feature(rng, shape, ref, sequences, len(vocabulary)) for ref in refs]
    features[-1] = dead_feature(features[-1])
    features = [_as_stored(replace(feature, similar=_similar(feature, features))) for feature in features]
    heads = [HeadRef(layer, head) for layer in range(shape.n_layers) for head in range(shape.n_heads)]
    rankings = {
        (head, ranking): _ranking([f for f in features[:-1] if f.ref.layer == head.layer], head, ranking)
        for head in heads
        if head.layer in shape.sae_layers
        for ranking in RANKINGS
    }
    scored = [_head(rng, head, head.layer in shape.sae_layers) for head in heads]
    by_ref = {feature.ref: feature for feature in features}
    attention = {head: make_attention(head, seed, sequences, len(vocabulary)) for head in heads}
    return StoredRun(slug, record, vocabulary, sequences, scored, by_ref, rankings, attention)


def _as_stored(feature: FeatureRecord) -> FeatureRecord:
    """The feature with its numbers rounded as a store rounds them, so that pages can be compared with it."""
    row: Any = SimpleNamespace(
        layer=feature.ref.layer,
        feature_index=feature.ref.index,
        data=pack_features([feature])[0],
        **{name: getattr(feature, name) for name in COLUMNS},
    )
    examples = feature.examples
    return unpack_feature(row, examples and unpack_examples(pack_examples([examples], [feature.ref])[0]))


def without_saes(run: StoredRun) -> StoredRun:
    """The run, as it is where no layer has an SAE."""
    heads = [HeadRecord(head.ref, head.scores) for head in run.heads]
    return replace(run, record=replace(run.record, saes=()), heads=heads, features={}, rankings={})


def _head(rng: np.random.Generator, head: HeadRef, has_sae: bool) -> HeadRecord:
    scores = {name: float(rng.beta(0.5, 3)) for name in SCORES}
    scores["copying"] = float(rng.uniform(-1, 1))
    scores["entropy"] = float(rng.uniform(0, 4))
    scores["query_key_distance"] = float(rng.uniform(1, 40))
    if not has_sae:
        return HeadRecord(head, scores)
    # What is said here is what pages rely on; any other number that is declared is random.
    numbers = random_fields(HeadNumbers, np.random.default_rng((head.layer, head.head)), {})
    numbers |= {"concentration": float(rng.uniform(0.2, 0.5)), "rank_correlation": float(rng.uniform(-1, 1))}
    return HeadRecord(head, scores, **{**numbers, "top_overlap": 7})


def publish(engine: Engine, run: StoredRun) -> StoredRun:
    """Write the run as the job does, and make it live."""
    with write_session(engine) as session:
        run_id = runs.begin_run(session, run.slug, run.record)
        runs.add_vocabulary(session, run_id, run.vocabulary.checksum, run.vocabulary.to_blob())
        runs.add_sequences(session, run_id, run.sequences, documents=documents_of(run.sequences))
        runs.add_heads(session, run_id, run.heads)
        add_attention(session, run_id, list(run.attention.values()))
        runs.add_rankings(session, run_id, list(run.rankings.values()))
        runs.add_features(session, run_id, list(run.features.values()), run.vocabulary)
        runs.go_live(session, run_id, RunReport(NOON, NOON, 1.0, "serial", 1, 2**30))
    return run


def store_with(template: Path, folder: Path, run: StoredRun) -> str:
    """The path of a store in the folder that holds the run. template: a store with all tables and no rows."""
    path = shutil.copyfile(template, folder / "store.sqlite")
    engine = open_store(path)
    publish(engine, run)
    engine.dispose()
    return str(path)
