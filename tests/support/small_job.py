"""A precompute job without a model: sealed partials, their fold and a publish, quick enough to fail at every call."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.domain.records import RunReport
from app.precompute.merge import SealedRun
from app.precompute.partial_files import SealedHeader, open_sealed, write_sealed
from app.precompute.plan import RunPlan, SaePlan, Unit
from app.precompute.work_folder import WorkFolder
from app.statistics.head_partial import SCORE_NAMES, HeadScoreBatch, HeadScorePartial, ScoreSums
from app.statistics.leaves import Shards
from app.store.atlas import writes
from app.store.atlas.reads import find_live_fingerprint
from app.store.checks import check_store
from app.store.database.engine import Engine, open_store, read_session, write_session
from app.store.opening import migrated_store
from tests.support.example_data import RunShape
from tests.support.run_data import NOON, StoredRun, make_run
from tests.support.store_digest import table_digest

SLUG = "tiny"
N_LAYERS, N_HEADS = 2, 2
PLAN = RunPlan(
    model="tiny", model_revision="r", saes=(SaePlan(0, "a", "c", "raw", "d"),),
    dataset=("text",), dataset_identity=("i",),
    n_prompts=6, batch_size=3, shard_size=3, threads=1, n_score_sequences=3,
    model_checksum="m", tokenizer_checksum="t", corpus_checksum="k",
)  # fmt: skip
UNITS = PLAN.units(6)  # two shards and one batch of scores
RUN = make_run(SLUG, 1, RunShape(N_LAYERS, N_HEADS, (0,), features_per_layer=2, context=24, n_sequences=6))


def run_small_job(folder: Path, plan: RunPlan = PLAN) -> None:
    """Seal the units that are missing, fold them, and publish unless the run is live. Raises AppError, OSError."""
    work = WorkFolder(folder / "work")
    with work.locked():
        work.start(plan, new_run=False)
        done, _ = work.finished(plan, UNITS)
        for unit in UNITS:
            if unit not in done:
                write_sealed(work.sealed_path(unit), *_sealed(unit, plan))
        empty = HeadScorePartial.empty(plan.fingerprint, N_LAYERS, N_HEADS, Shards.of())
        folded = SealedRun(work, UNITS).fold("features", "scores", empty).scores()
        publish_slowly(folder / "store.sqlite", _with_scores(plan, folded))


def publish_slowly(store: Path | str, run: StoredRun) -> None:
    """Publish in several transactions, as the job does; nothing if the run is live."""
    with migrated_store(str(store)) as engine:
        with read_session(engine) as session:
            if find_live_fingerprint(session, run.slug) == run.record.fingerprint:
                return
        with write_session(engine) as session:
            run_id = writes.begin_run(session, run.slug, run.record)
            writes.add_vocabulary(session, run_id, run.vocabulary.checksum, run.vocabulary.to_blob())
        with write_session(engine) as session:
            writes.add_sequences(session, run_id, run.sequences)
        for feature in run.features.values():
            with write_session(engine) as session:
                writes.add_features(session, run_id, [feature], run.vocabulary)
        with write_session(engine) as session:
            writes.add_heads(session, run_id, run.heads)
            writes.add_rankings(session, run_id, list(run.rankings.values()))
        with write_session(engine) as session:
            writes.go_live(session, run_id, RunReport(NOON, NOON, 1.0, "serial", 1, 2**30))


def _sealed(unit: Unit, plan: RunPlan) -> tuple[SealedHeader, dict[str, HeadScorePartial]]:
    total = np.random.default_rng(unit.index).uniform(size=(3, N_LAYERS, N_HEADS))
    sums = {name: ScoreSums(total * i, np.ones(3, np.int64)) for i, name in enumerate(SCORE_NAMES, 1)}
    shards = Shards.of(unit.index)
    partial = HeadScorePartial.empty(plan.fingerprint, N_LAYERS, N_HEADS, shards).update(
        HeadScoreBatch(**sums)
    )
    return SealedHeader(plan.fingerprint, (unit.index,)), {"scores": partial}


def _with_scores(plan: RunPlan, folded: dict[str, np.ndarray]) -> StoredRun:
    """The run, its plan's fingerprint in it, and a score of each head from the folded partials."""
    heads = [
        replace(
            head,
            scores={**head.scores, "induction": float(folded["induction"][head.ref.layer, head.ref.head])},
        )
        for head in RUN.heads
    ]
    return replace(RUN, heads=heads, record=replace(RUN.record, fingerprint=plan.fingerprint))


def check_nothing_is_half_there(folder: Path, plan: RunPlan = PLAN) -> None:
    """Every sealed file is whole, and the store, where there is one, is sound and shows the whole run or none."""
    for path in (folder / "work" / "sealed").glob("*.seal"):
        assert open_sealed(path).header.plan == plan.fingerprint
    if not (folder / "store.sqlite").exists():
        return
    with migrated_store(str(folder / "store.sqlite")) as engine:
        check_store(engine)
        with read_session(engine) as session:
            live = find_live_fingerprint(session, SLUG)
        assert live in (None, plan.fingerprint)


def outcome(folder: Path) -> str:
    """A checksum of every row of the store and every byte of the sealed files."""
    digest = hashlib.sha256()
    for path in sorted((folder / "work" / "sealed").iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    engine: Engine = open_store(folder / "store.sqlite")
    try:
        return digest.hexdigest() + table_digest(engine)
    finally:
        engine.dispose()
