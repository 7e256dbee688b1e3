"""What a store holds: its atlases, their runs and who has labelled what; and removing them. Nothing here commits."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ScalarSelect, delete, func, select, update
from sqlalchemy.orm import Session

from app.errors import AppError, NotFound
from app.store.annotations import current_records, get_atlas_id
from app.store.atlas.additions import additions_of
from app.store.atlas.progress import clear_progress
from app.store.atlas.writes import drop_unused_vocabularies
from app.store.tables.annotations import RevealedHintRow, RevisionRow
from app.store.tables.atlas import AtlasRow, FeatureRow, RunReportRow, RunRow, SaeRow
from app.store.tables.experiments import ExperimentRow


class StillLabelled(AppError):
    """The atlas is labelled, and the removal of its labels was not asked for."""

    exit_code = 3


@dataclass(frozen=True)
class HeldRun:
    """A run of an atlas. finished_at is None for one that a job has not finished.

    additions: what precomputing it again with this version would add, in words.
    """

    fingerprint: str
    live: bool
    finished_at: datetime | None
    n_saes: int
    n_sequences: int
    n_features: int
    additions: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldLabels:
    """The records of one annotator on an atlas, of heads and of features."""

    annotator: str
    n_heads: int
    n_features: int
    n_submitted: int


@dataclass(frozen=True)
class HeldAtlas:
    """An atlas with its runs, live first, and all that rests on it."""

    slug: str
    runs: tuple[HeldRun, ...]
    labels: tuple[HeldLabels, ...]
    n_revisions: int
    n_experiments: int

    def run_of(self, prefix: str) -> HeldRun:
        """The run whose fingerprint begins with the prefix. Raises NotFound where there is none, or more than one."""
        matching = [run for run in self.runs if prefix and run.fingerprint.startswith(prefix)]
        if len(matching) != 1:
            number = "no run" if not matching else f"{len(matching)} runs"
            raise NotFound(f"the atlas {self.slug} has {number} that begin with {prefix[:64]!r}")
        return matching[0]


def list_held(session: Session) -> list[HeldAtlas]:
    """All atlases with what they hold, by slug."""
    slugs = session.scalars(select(AtlasRow.slug).order_by(AtlasRow.slug)).all()
    return [get_held(session, slug) for slug in slugs]


def get_held(session: Session, slug: str) -> HeldAtlas:
    """One atlas with what it holds. Raises NotFound."""
    atlas_id = get_atlas_id(session, slug)
    runs = (
        select(RunRow, RunReportRow.finished_at, _count(SaeRow), _count(FeatureRow))
        .join(RunReportRow, RunReportRow.run_id == RunRow.id, isouter=True)
        .where(RunRow.atlas_id == atlas_id)
        .order_by(RunRow.state, RunRow.id)
    )
    revisions = select(func.count()).where(RevisionRow.atlas_id == atlas_id)
    experiments = select(func.count()).where(ExperimentRow.atlas_id == atlas_id)
    return HeldAtlas(
        slug=slug,
        runs=tuple(_held_run(session, *row) for row in session.execute(runs).all()),
        labels=_labels(session, atlas_id),
        n_revisions=session.scalar(revisions) or 0,
        n_experiments=session.scalar(experiments) or 0,
    )


def remove_run(session: Session, held: HeldAtlas, run: HeldRun) -> None:
    """Remove a run with all its rows; labels and experiments of the atlas stay."""
    atlas_id = get_atlas_id(session, held.slug)
    ours = (RunRow.atlas_id == atlas_id, RunRow.fingerprint == run.fingerprint)
    live = (AtlasRow.id == atlas_id, AtlasRow.live_run_id.in_(select(RunRow.id).where(*ours)))
    session.execute(update(AtlasRow).where(*live).values(live_run_id=None))
    session.execute(delete(RunRow).where(*ours))
    clear_progress(session, run.fingerprint)
    drop_unused_vocabularies(session)


def remove_atlas(session: Session, held: HeldAtlas, with_annotations: bool) -> None:
    """Remove an atlas with its runs and experiments, and its annotations if that is asked for.

    Raises StillLabelled where there are annotations and it is not.
    """
    if held.n_revisions and not with_annotations:
        names = ", ".join(each.annotator for each in held.labels)
        raise StillLabelled(
            f"the atlas {held.slug} was labelled by {names} ({held.n_revisions} saves), and nothing was removed; "
            "export the annotations first, then give --with-annotations to remove them too"
        )
    atlas_id = get_atlas_id(session, held.slug)
    for table in (RevisionRow, RevealedHintRow):
        session.execute(delete(table).where(table.atlas_id == atlas_id))
    session.execute(delete(ExperimentRow).where(ExperimentRow.atlas_id == atlas_id))
    for run in held.runs:
        remove_run(session, held, run)
    session.execute(delete(AtlasRow).where(AtlasRow.id == atlas_id))


def _count(table: type[SaeRow] | type[FeatureRow]) -> ScalarSelect[int]:
    return select(func.count()).where(table.run_id == RunRow.id).scalar_subquery()


def _held_run(
    session: Session, row: RunRow, finished_at: datetime | None, n_saes: int, n_features: int
) -> HeldRun:
    live = row.state == "live"
    additions = additions_of(session, row) if live else ()
    return HeldRun(row.fingerprint, live, finished_at, n_saes, row.n_sequences, n_features, additions)


def _labels(session: Session, atlas_id: int) -> tuple[HeldLabels, ...]:
    counts: dict[str, Counter[str]] = {}
    for record in current_records(session, atlas_id):
        count = counts.setdefault(record.annotator, Counter())
        count["features" if record.subject.sae else "heads"] += 1
        count["submitted"] += record.status == "submitted"
    return tuple(
        HeldLabels(name, count["heads"], count["features"], count["submitted"])
        for name, count in sorted(counts.items())
    )
