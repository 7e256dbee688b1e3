"""How far jobs are, written while they run and shown on the web."""

from dataclasses import asdict, fields

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.domain.records import JobProgress
from app.store.tables import atlas as tables


def report_progress(session: Session, progress: JobProgress) -> None:
    """Store the newest state of one stage of one job."""
    values = asdict(progress)
    key = {name: values.pop(name) for name in ("fingerprint", "stage")}
    row = session.get(tables.JobProgressRow, tuple(key.values()))
    if row is None:
        session.add(tables.JobProgressRow(**key, **values))
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()


def fail_running(session: Session, fingerprint: str) -> None:
    """Mark the stages that a job left running as failed: it ended, or a new attempt finds those of a killed one."""
    running = (tables.JobProgressRow.fingerprint == fingerprint, tables.JobProgressRow.state == "running")
    session.execute(update(tables.JobProgressRow).where(*running).values(state="failed"))


def clear_progress(session: Session, fingerprint: str) -> None:
    """Remove the progress of a job whose end is recorded elsewhere."""
    session.execute(delete(tables.JobProgressRow).where(tables.JobProgressRow.fingerprint == fingerprint))


def stage_rate(session: Session, fingerprint: str, stage: str) -> float | None:
    """Units per second of one stage of one job; None where none is stored."""
    row = session.get(tables.JobProgressRow, (fingerprint, stage))
    return None if row is None else row.rate


def list_progress(session: Session, limit: int = 100) -> list[JobProgress]:
    """The stages of jobs with the latest reports, newest first."""
    rows = session.scalars(
        select(tables.JobProgressRow)
        .order_by(
            tables.JobProgressRow.updated_at.desc(),
            tables.JobProgressRow.fingerprint,
            tables.JobProgressRow.stage,
        )
        .limit(limit)
    )
    return [
        JobProgress(**{part.name: getattr(row, part.name) for part in fields(JobProgress)}) for row in rows
    ]
