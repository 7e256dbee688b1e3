"""A small run of realistic shape for tests of services and pages: odd tokens, repeated phrases, true sums.

The numbers are random, but what the pages rely on is true of them: shares sum to 1, and matched prefixes are those of
the text.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from app.domain.attention import HeadAttention
from app.domain.numbers import HeadNumbers
from app.domain.records import (
    RANKINGS,
    FeatureRecord,
    HeadRanking,
    HeadRecord,
    ModelRecord,
    RankedFeature,
    Ranking,
    RunRecord,
    RunReport,
    SaeRecord,
)
from app.domain.refs import FeatureRef, HeadRef
from app.domain.tokens import Vocabulary
from app.store.atlas import writes as runs
from app.store.atlas.attention import add_attention
from app.store.database.engine import open_store, write_session
from tests.support.attention_data import make_attention
from tests.support.corpus_documents import DATASETS, documents_of
from tests.support.example_data import RunShape
from tests.support.feature_data import as_stored, dead_feature, make_feature, similar_to
from tests.support.odd_text import make_sequences, make_vocabulary
from tests.support.read_only import protect
from tests.support.record_data import random_fields

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
    """Deterministic in its arguments. The last feature of the last SAE layer is dead and not ranked.

    Made once, as most tests ask for the same: lists are the caller's own, and arrays cannot be written.
    """
    run = _made_once(slug, seed, shape or RunShape())
    copied = {name: dict(getattr(run, name)) for name in ("features", "rankings", "attention")}
    return replace(run, heads=[*run.heads], **copied)


@cache
def _made_once(slug: str, seed: int, shape: RunShape) -> StoredRun:
    run = _new_run(slug, seed, shape)
    protect(run)
    return run


def _new_run(slug: str, seed: int, shape: RunShape) -> StoredRun:
    rng, vocabulary = np.random.default_rng(seed), make_vocabulary()
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
    features = [as_stored(replace(feature, similar=similar_to(feature, features))) for feature in features]
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
