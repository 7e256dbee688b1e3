"""Reading atlases, runs, heads and their rankings. Every call is a fixed, small number of queries."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from app.domain.documents import CorpusText, DocumentStart
from app.domain.numbers import HeadNumbers, values_of
from app.domain.records import (
    AtlasRecord,
    HeadRanking,
    HeadRecord,
    Json,
    ModelRecord,
    RankedFeature,
    Ranking,
    RunRecord,
    RunReport,
    SaeRecord,
)
from app.domain.refs import FeatureRef, HeadRef
from app.errors import InvalidStore, NotFound
from app.store.tables import atlas as tables
from app.store.tables.experiments import ExperimentRow

_WITH_LIVE_RUN = select(tables.AtlasRow.slug, tables.RunRow).join(
    tables.RunRow, tables.RunRow.id == tables.AtlasRow.live_run_id, isouter=True
)
_ANY_ATLAS = select(tables.AtlasRow.id).limit(1)
_DONE = (ExperimentRow.atlas_id == tables.AtlasRow.id, ExperimentRow.state == "done")
# Every request asks this: it is put together once.
_LIVE_STATE = (
    select(
        tables.RunRow.id,
        tables.AtlasRow.id,
        tables.RunRow.fingerprint,
        select(func.count()).where(*_DONE).scalar_subquery(),
        select(func.max(ExperimentRow.created_at)).where(*_DONE).scalar_subquery(),
    )
    .join(tables.AtlasRow, tables.AtlasRow.live_run_id == tables.RunRow.id)
    .where(tables.AtlasRow.slug == bindparam("slug"))
)


@dataclass(frozen=True)
class LiveState:
    """What tells one live run, and the experiments it has, from another."""

    id: int
    atlas_id: int
    slug: str
    fingerprint: str
    experiments: str  # differs whenever the atlas's finished experiments do


@dataclass(frozen=True)
class LiveRun:
    """The run that an atlas shows. Every other reader takes one, so that a page cannot mix two runs."""

    id: int
    atlas_id: int
    slug: str
    record: RunRecord
    experiments: str = ""  # as in LiveState

    @property
    def fingerprint(self) -> str:
        return self.record.fingerprint


@dataclass(frozen=True)
class StoredVocabulary:
    """A tokenizer's bytes as stored; the checksum is a key to keep the decoded form under."""

    checksum: str
    blob: bytes


def check_answers(session: Session) -> None:
    """Read next to nothing of the store. Raises an AppError if it does not answer."""
    session.execute(_ANY_ATLAS)


def list_atlases(session: Session) -> list[AtlasRecord]:
    """All atlases by slug, those without a live run included."""
    return _atlases(session, _WITH_LIVE_RUN.order_by(tables.AtlasRow.slug))


def find_live_fingerprint(session: Session, slug: str) -> str | None:
    """The fingerprint of the atlas's live run, by which a job knows that nothing is left to do."""
    return session.scalar(
        select(tables.RunRow.fingerprint)
        .join(tables.AtlasRow, tables.AtlasRow.live_run_id == tables.RunRow.id)
        .where(tables.AtlasRow.slug == slug)
    )


@dataclass(frozen=True)
class LivePlan:
    """The plan of a live run, as it is stored."""

    fingerprint: str
    plan: dict[str, Json]


def find_live_plan(session: Session, slug: str) -> LivePlan | None:
    """The plan of the atlas's live run."""
    row = session.execute(
        select(tables.RunRow.fingerprint, tables.RunRow.plan)
        .join(tables.AtlasRow, tables.AtlasRow.live_run_id == tables.RunRow.id)
        .where(tables.AtlasRow.slug == slug)
    ).first()
    return None if row is None else LivePlan(row.fingerprint, row.plan)


def get_live_state(session: Session, slug: str) -> LiveState:
    """Which run is live, in one query. Raises NotFound when there is no such atlas or it has no live run yet."""
    row = session.execute(_LIVE_STATE, {"slug": slug}).one_or_none()
    if row is None:
        raise NotFound(f"no atlas {slug[:60]!r} in this store, or nothing of it is published yet")
    run_id, atlas_id, fingerprint, n_done, last = row
    return LiveState(run_id, atlas_id, slug, fingerprint, f"{n_done} {last}")


def load_run(session: Session, state: LiveState) -> LiveRun:
    """The run in this state. Raises NotFound if it has been removed since."""
    run = session.get(tables.RunRow, state.id)
    if run is None:
        raise NotFound(f"the run of {state.slug!r} has just been removed")
    record = _run_record(run, _saes(session, [run.id])[run.id])
    return LiveRun(run.id, state.atlas_id, state.slug, record, state.experiments)


def get_live_run(session: Session, slug: str) -> LiveRun:
    """The atlas's live run. Raises NotFound as get_live_state does."""
    return load_run(session, get_live_state(session, slug))


def get_report(session: Session, run: LiveRun) -> RunReport:
    """The report of what the run cost. Raises NotFound."""
    row = session.get(tables.RunReportRow, run.id)
    if row is None:
        raise NotFound(f"no report of the run of {run.slug!r}")
    return RunReport(**{part.name: getattr(row, part.name) for part in fields(RunReport)})


def get_vocabulary(session: Session, run: LiveRun) -> StoredVocabulary:
    """The token bytes of the run's tokenizer. Raises NotFound where none is stored."""
    row = session.scalar(
        select(tables.VocabularyRow)
        .join(tables.RunRow, tables.RunRow.vocabulary == tables.VocabularyRow.checksum)
        .where(tables.RunRow.id == run.id)
    )
    if row is None:
        raise NotFound(f"no vocabulary is stored with the run of {run.slug!r}")
    return StoredVocabulary(row.checksum, row.data)


def get_heads(session: Session, run: LiveRun) -> list[HeadRecord]:
    """Every head in order of layer and head."""
    heads = session.scalars(
        select(tables.HeadRow)
        .where(tables.HeadRow.run_id == run.id)
        .order_by(tables.HeadRow.layer, tables.HeadRow.head)
    ).all()
    scores: dict[HeadRef, dict[str, float]] = {HeadRef(row.layer, row.head): {} for row in heads}
    for row in session.scalars(
        select(tables.HeadScoreRow)
        .where(tables.HeadScoreRow.run_id == run.id)
        .order_by(tables.HeadScoreRow.name)
    ):
        scores[HeadRef(row.layer, row.head)][row.name] = row.value
    return [_head_record(row, scores[HeadRef(row.layer, row.head)]) for row in heads]


_ROW = tables.RankedFeatureRow
_RANKED = (
    select(_ROW.feature_index, _ROW.rank, _ROW.value, _ROW.other_rank)
    .where(*(getattr(_ROW, name) == bindparam(name) for name in ("run_id", "layer", "head", "ranking")))
    .order_by(_ROW.rank)
    .limit(bindparam("k"))
)


def get_ranking(session: Session, run: LiveRun, head: HeadRef, ranking: Ranking, k: int) -> HeadRanking:
    """The best k features of a head, fewer where fewer were ranked, none where its layer has no SAE."""
    asked = {"run_id": run.id, "layer": head.layer, "head": head.head, "ranking": ranking, "k": k}
    rows = session.execute(_RANKED, asked)
    features = (
        RankedFeature(FeatureRef(head.layer, row.feature_index), row.rank, row.value, row.other_rank)
        for row in rows
    )
    return HeadRanking(head, ranking, tuple(features))


def get_texts(session: Session, run: LiveRun, indices: Iterable[int]) -> dict[int, CorpusText]:
    """The corpus sequences by index, with their documents. Raises NotFound when one is missing."""
    distinct = sorted({int(index) for index in indices})
    row_type = tables.SequenceRow
    rows = session.execute(
        select(row_type.sequence_index, row_type.token_ids, row_type.documents).where(
            row_type.run_id == run.id, row_type.sequence_index.in_(distinct)
        )
    )
    names = run.record.datasets
    texts = {index: CorpusText(_token_ids(blob), _starts(stored), names) for index, blob, stored in rows}
    if missing := [index for index in distinct if index not in texts]:
        raise NotFound(f"no sequence {missing[0]} in the run of {run.slug!r}")
    return texts


def get_sequences(session: Session, run: LiveRun, indices: Iterable[int]) -> dict[int, NDArray[np.int32]]:
    """Token ids of the corpus sequences by index, read-only, BOS first. Raises NotFound when one is missing."""
    return {index: text.tokens for index, text in get_texts(session, run, indices).items()}


def _starts(stored: list[Json] | None) -> tuple[DocumentStart, ...]:
    try:
        return tuple(DocumentStart.from_json(values) for values in stored or ())
    except (TypeError, ValueError) as error:
        raise InvalidStore("a stored sequence is damaged: its documents cannot be read") from error


def _token_ids(blob: bytes) -> NDArray[np.int32]:
    if len(blob) % 4:
        raise InvalidStore("a stored sequence is damaged: its length is not that of whole tokens")
    return np.frombuffer(blob, "<i4")


def _atlases(session: Session, query: Select[str, tables.RunRow]) -> list[AtlasRecord]:
    # An outer join gives None for an atlas without a live run, which its type does not say.
    rows = cast("list[tuple[str, tables.RunRow | None]]", session.execute(query).all())
    saes = _saes(session, [run.id for _, run in rows if run is not None])
    return [AtlasRecord(slug, None if run is None else _run_record(run, saes[run.id])) for slug, run in rows]


def _saes(session: Session, run_ids: list[int]) -> dict[int, list[SaeRecord]]:
    by_run: dict[int, list[SaeRecord]] = {run_id: [] for run_id in run_ids}
    rows = session.scalars(
        select(tables.SaeRow).where(tables.SaeRow.run_id.in_(run_ids)).order_by(tables.SaeRow.layer)
    )
    for row in rows:
        by_run[row.run_id].append(
            SaeRecord(**{part.name: getattr(row, part.name) for part in fields(SaeRecord)})
        )
    return by_run


def _run_record(run: tables.RunRow, saes: list[SaeRecord]) -> RunRecord:
    model: dict[str, Any] = {
        part.name: getattr(run, part.name) for part in fields(ModelRecord) if hasattr(run, part.name)
    }
    return RunRecord(
        fingerprint=run.fingerprint,
        model=ModelRecord(name=run.model_name, revision=run.model_revision, **model),
        corpus=run.corpus,
        context_size=run.context_size,
        n_sequences=run.n_sequences,
        n_tokens=run.n_tokens,
        plan=run.plan,
        saes=tuple(saes),
    )


def _head_record(row: tables.HeadRow, scores: dict[str, float]) -> HeadRecord:
    return HeadRecord(HeadRef(row.layer, row.head), scores, **values_of(HeadNumbers, row))
