"""Experiments: begun, done or failed, and read. Nothing here commits; the session's owner does."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.orm import Session, undefer

from app.domain.experiments.records import ExperimentRequest, State, StoredExperiment
from app.domain.records import Json
from app.domain.refs import HeadRef
from app.errors import NotFound, StoreBusy
from app.store.annotations import get_atlas_id
from app.store.tables.atlas import AtlasRow
from app.store.tables.experiments import ExperimentHeadRow, ExperimentRow


@dataclass(frozen=True)
class StoredHeadFinding:
    """What one experiment found of one head."""

    experiment: StoredExperiment
    head: HeadRef
    finding: str


def begin(session: Session, request: ExperimentRequest, now: datetime) -> str:
    """Store the experiment as running and return its id. An earlier attempt at the same one is replaced."""
    atlas_id = get_atlas_id(session, request.atlas)
    experiment_id = request.id
    forget(session, experiment_id)
    values = asdict(request)
    del values["atlas"]
    row = {**values, "id": experiment_id, "atlas_id": atlas_id, "state": "running", "created_at": now}
    session.execute(insert(ExperimentRow).values({**row, "message": "", "finding": ""}))
    return experiment_id


def finish(
    session: Session,
    experiment_id: str,
    seconds: float,
    finding: str,
    heads: Mapping[HeadRef, str],
    result: Json,
) -> None:
    """Store the result. Raises StoreBusy where another attempt has taken the place of this one and failed or ended."""
    _end(session, experiment_id, "done", seconds=seconds, finding=finding, result=result)
    rows = [
        {"experiment_id": experiment_id, "layer": head.layer, "head": head.head, "finding": sentence}
        for head, sentence in heads.items()
    ]
    if rows:
        session.execute(insert(ExperimentHeadRow), rows)


def fail(session: Session, experiment_id: str, seconds: float, message: str) -> None:
    """Store why there is no result. Raises StoreBusy as finish does."""
    _end(session, experiment_id, "failed", seconds=seconds, message=message)


def forget(session: Session, experiment_id: str) -> None:
    """Remove an experiment that turned out not to be possible, with its findings."""
    session.execute(delete(ExperimentRow).where(ExperimentRow.id == experiment_id))


def find(session: Session, experiment_id: str) -> StoredExperiment | None:
    """One experiment with its result."""
    query = _SELECT.where(ExperimentRow.id == experiment_id).options(undefer(ExperimentRow.result))
    row = session.execute(query).one_or_none()
    return None if row is None else _record(*row, result=cast(Json, row[0].result))


def get_experiment(session: Session, slug: str, experiment_id: str) -> StoredExperiment:
    """One experiment of an atlas with its result. Raises NotFound."""
    experiment = find(session, experiment_id)
    if experiment is None or experiment.request.atlas != slug:
        raise NotFound(f"no experiment {experiment_id[:40]!r} in the atlas {slug[:60]!r}")
    return experiment


def list_experiments(session: Session, slug: str, limit: int = 500) -> list[StoredExperiment]:
    """The experiments of an atlas without their results, newest first."""
    query = _SELECT.where(AtlasRow.slug == slug).order_by(ExperimentRow.created_at.desc(), ExperimentRow.id)
    return [_record(row, atlas) for row, atlas in session.execute(query.limit(limit))]


def newest_elsewhere(session: Session, slug: str, name: str, limit: int) -> list[StoredExperiment]:
    """The newest finished experiment of that name of every other atlas, with its result, by the atlas's slug."""
    done = select(func.max(ExperimentRow.created_at)).where(
        ExperimentRow.atlas_id == AtlasRow.id, ExperimentRow.name == name, ExperimentRow.state == "done"
    )
    query = _SELECT.where(
        AtlasRow.slug != slug,
        ExperimentRow.name == name,
        ExperimentRow.state == "done",
        ExperimentRow.created_at == done.correlate(AtlasRow).scalar_subquery(),
    ).options(undefer(ExperimentRow.result))
    newest: dict[str, StoredExperiment] = {}
    for row, atlas in session.execute(query.order_by(AtlasRow.slug, ExperimentRow.id).limit(limit)):
        newest.setdefault(atlas, _record(row, atlas, cast(Json, row.result)))
    return list(newest.values())


def findings_of(session: Session, slug: str, *heads: HeadRef, limit: int = 50) -> list[StoredHeadFinding]:
    """The newest `limit` findings of finished experiments on each of the heads; newest first over all heads."""
    newest_first = (ExperimentRow.created_at.desc(), ExperimentRow.id)
    place = func.row_number().over(
        partition_by=(ExperimentHeadRow.layer, ExperimentHeadRow.head), order_by=newest_first
    )
    ranked = (
        select(
            ExperimentHeadRow.experiment_id,
            ExperimentHeadRow.layer,
            ExperimentHeadRow.head,
            ExperimentHeadRow.finding,
            place.label("place"),
        )
        .join(ExperimentRow, ExperimentRow.id == ExperimentHeadRow.experiment_id)
        .join(AtlasRow, AtlasRow.id == ExperimentRow.atlas_id)
        .where(
            AtlasRow.slug == slug,
            tuple_(ExperimentHeadRow.layer, ExperimentHeadRow.head).in_(
                [(head.layer, head.head) for head in heads]
            ),
        )
        .subquery()
    )
    query = (
        _SELECT.add_columns(ranked.c.layer, ranked.c.head, ranked.c.finding)
        .join(ranked, ranked.c.experiment_id == ExperimentRow.id)
        .where(ranked.c.place <= limit)
        .order_by(*newest_first, ranked.c.layer, ranked.c.head)
    )
    return [
        StoredHeadFinding(_record(row, atlas), HeadRef(layer, head), sentence)
        for row, atlas, layer, head, sentence in session.execute(query)
    ]


_SELECT = select(ExperimentRow, AtlasRow.slug).join(AtlasRow, AtlasRow.id == ExperimentRow.atlas_id)


def _end(session: Session, experiment_id: str, state: State, **values: object) -> None:
    running = (ExperimentRow.id == experiment_id, ExperimentRow.state == "running")
    statement = update(ExperimentRow).where(*running).values(state=state, **values)
    if session.execute(statement.returning(ExperimentRow.id)).one_or_none() is None:
        raise StoreBusy(
            f"experiment {experiment_id} was finished by another process that ran it at the same time"
        )


def _record(row: ExperimentRow, atlas: str, result: Json = None) -> StoredExperiment:
    request = ExperimentRequest(
        atlas=atlas,
        name=row.name,
        parameters=row.parameters,
        seed=row.seed,
        model_name=row.model_name,
        model_revision=row.model_revision,
        processing=row.processing,
        run=row.run,
        software=row.software,
    )
    return StoredExperiment(
        id=row.id,
        request=request,
        state=cast(State, row.state),
        created_at=row.created_at,
        seconds=row.seconds,
        message=row.message,
        finding=row.finding,
        result=result,
    )
