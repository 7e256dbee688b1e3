"""Random runs of realistic shape to write to a store, and a deep comparison of what comes back."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Engine, event

from app.domain.numbers import HeadNumbers
from app.domain.records import (
    FeatureRecord,
    FveByHead,
    HeadRanking,
    HeadRecord,
    ModelRecord,
    RankedFeature,
    RunRecord,
    RunReport,
    SaeRecord,
    TokenLogits,
)
from app.domain.refs import FeatureRef, HeadRef
from app.store.atlas import writes as runs
from app.store.database.engine import write_session
from tests.support.record_data import optional_fields, random_fields, random_record

N_LAYERS, N_HEADS, CONTEXT = 3, 4, 16
D_VOCAB = 2**31 - 1  # of all bits that an id may have
SAE_LAYERS = (0, 2)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VOCABULARY = bytes(range(256)) * 3
VOCABULARY_CHECKSUM = hashlib.sha256(VOCABULARY).hexdigest()


def run_record(fingerprint: str = "f1", n_sequences: int = 5) -> RunRecord:
    model = ModelRecord("org/Tiny", "main", N_LAYERS, N_HEADS, 2, 8, 32, D_VOCAB, 1)
    return RunRecord(
        fingerprint=fingerprint,
        model=model,
        corpus="python-docs",
        context_size=CONTEXT,
        n_sequences=n_sequences,
        n_tokens=n_sequences * (CONTEXT - 1),
        plan={"seed": 1, "layers": [0, 2], "note": "zwölf ☃", "nested": {"b": None, "a": 0.1}},
        saes=tuple(sae_record(layer) for layer in SAE_LAYERS),
    )


def sae_record(layer: int) -> SaeRecord:
    return SaeRecord(
        layer=layer,
        name=f"tiny/{layer}",
        checksum=f"{layer:064x}",
        architecture="topk",
        d_in=32,
        d_sae=64,
        hook_name=f"blocks.{layer}.attn.hook_z",
        processing="raw",
        normalize_activations="none",
        l0=31.5,
        fvu=0.2,
        n_dead=3,
        n_rare=4,
        neuronpedia_id=None if layer else "tiny/0-att",
    )


def report(**changes: object) -> RunReport:
    made = RunReport(NOON, NOON + timedelta(seconds=9), 9.0, "serial", 1, 2**33, {"shards": 4})
    return replace(made, **changes)


def feature(
    ref: FeatureRef, rng: np.random.Generator, n: int = 6, n_heads: int = N_HEADS, context: int = CONTEXT
) -> FeatureRecord:
    """Every field random; what may be missing is missing in turn, one field per feature."""
    may_be_missing = [name for name in (*optional_fields(FeatureRecord), "fve_all") if name != "examples"]
    drawn: FeatureRecord = random_record(FeatureRecord, rng, {"n": n, "heads": n_heads, "context": context})
    missing = (*may_be_missing, None)[ref.index // 3 % (len(may_be_missing) + 1)]
    return replace(
        drawn,
        ref=ref,
        n_active=int(rng.integers(1, 2**40)),
        groups=drawn.groups if ref.index % 5 else (),
        **({missing: None} if missing else {}),
    )


def features(seed: int = 0, per_layer: int = 6, **shape: int) -> list[FeatureRecord]:
    rng = np.random.default_rng(seed)
    refs = (FeatureRef(layer, 3 * i + 1) for layer in SAE_LAYERS for i in range(per_layer))
    return [feature(ref, rng, **shape) for ref in refs]


def heads(seed: int = 0) -> list[HeadRecord]:
    rng = np.random.default_rng(seed)
    made: list[HeadRecord] = []
    for layer in range(N_LAYERS):
        for head in range(N_HEADS):
            scores = {name: float(rng.random()) for name in ("previous_token", "induction", "entropy")}
            head_record = HeadRecord(HeadRef(layer, head), scores)
            if layer in SAE_LAYERS:
                head_record = replace(head_record, **random_fields(HeadNumbers, rng, {}))
            made.append(head_record)
    return made


def rankings(seed: int = 0, k: int = 5) -> list[HeadRanking]:
    rng = np.random.default_rng(seed)
    return [
        HeadRanking(
            HeadRef(layer, head),
            ranking,
            tuple(
                RankedFeature(FeatureRef(layer, 3 * int(i) + 1), rank, float(rng.random()), int(k - rank + 1))
                for rank, i in enumerate(rng.permutation(k), start=1)
            ),
        )
        for layer in SAE_LAYERS
        for head in range(N_HEADS)
        for ranking in ("decoder_weight", "fve")
    ]


def sequences(seed: int = 0, n: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, D_VOCAB, (n, CONTEXT), np.int32)


def publish(
    engine: Engine, slug: str = "tiny", fingerprint: str = "f1", seed: int = 0, batches: int = 1
) -> int:
    """A whole run, its features added in `batches` transactions. Everything in it is drawn from the seed."""
    with write_session(engine) as session:
        run_id = runs.begin_run(session, slug, run_record(fingerprint))
        runs.add_vocabulary(session, run_id, VOCABULARY_CHECKSUM, VOCABULARY)
        runs.add_sequences(session, run_id, sequences(seed))
        runs.add_heads(session, run_id, heads(seed))
        runs.add_rankings(session, run_id, rankings(seed))
    made = features(seed)
    for i in range(batches):
        with write_session(engine) as session:
            runs.add_features(session, run_id, made[i::batches])
    with write_session(engine) as session:
        runs.go_live(session, run_id, report())
    return run_id


STORED_ERROR = 2**-16  # relative, of what stored blocks have in 16 bits
ROUNDED = {"top_logit", "cosine"}
DERIVED = {"decoder_weight_share"}


def assert_same(left: object, right: object, error: float = 0.0) -> None:
    """Equal in every field, and for arrays in dtype and shape too; logits and FVE to what a store keeps of them."""
    assert type(left) is type(right) or isinstance(left, int | float | np.ndarray)
    if is_dataclass(left) and not isinstance(left, type):
        error = STORED_ERROR if isinstance(left, FveByHead | TokenLogits) else error
        for part in fields(left):
            of_part = STORED_ERROR if part.name in ROUNDED else 2**-22 if part.name in DERIVED else error
            assert_same(getattr(left, part.name), getattr(right, part.name), of_part)
    elif isinstance(left, np.ndarray):
        assert isinstance(right, np.ndarray)
        assert left.dtype == right.dtype
        np.testing.assert_allclose(left, right, rtol=error, atol=0, strict=True)
    elif isinstance(left, dict):
        assert isinstance(right, dict)
        assert sorted(left) == sorted(right)
        for key, value in left.items():
            assert_same(value, right[key])
    elif isinstance(left, list | tuple):
        assert isinstance(right, Sequence)
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_same(one, other)
    else:
        assert left == right


@contextmanager
def counted_queries(engine: Engine) -> Iterator[list[str]]:
    """The SELECT statements that reach the database inside the block."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)
