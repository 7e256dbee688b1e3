"""The two overview pages: the list of atlases, and one atlas."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.domain.annotations.head_types import HEAD_TYPES
from app.domain.records import JOB_STAGES, AtlasRecord, JobProgress
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.atlas.annotation_models import DONE, Colouring, Order
from app.services.atlas.annotations import AtlasAnnotations, read_notes, strong_scores
from app.services.atlas.filters import make_matcher
from app.services.atlas.models import (
    AtlasFilter,
    AtlasHead,
    AtlasLayer,
    AtlasPage,
    AtlasSummary,
    IndexPage,
    Job,
    JobStage,
)
from app.services.examples.from_records import summarise_run
from app.services.reading.context import AtlasContext, sae_of
from app.services.reading.scores import all_scores, score_names
from app.store.atlas.progress import list_progress
from app.store.atlas.reads import list_atlases
from app.store.database.engine import Session

N_STRONGEST = 8
NO_FILTER = AtlasFilter()


@dataclass(frozen=True)
class AtlasView:
    """How to draw the atlas.

    colour: None chooses by what the atlas has. annotator: whose labels to show; empty for the default
    annotator.
    """

    colour: Colouring | None = None
    order: Order = "index"
    annotator: str = ""


PLAIN = AtlasView()


def index_page(session: Session) -> IndexPage:
    """The atlases of the store; while none is published, how far the latest precompute job is."""
    atlases = tuple(_summary(atlas) for atlas in list_atlases(session))
    jobs = jobs_under_way(session)
    has_published = any(atlas.run is not None for atlas in atlases)
    return IndexPage(atlases, jobs, has_published, () if has_published else _stages(jobs))


def jobs_under_way(session: Session) -> tuple[Job, ...]:
    """Running and failed jobs."""
    return tuple(_job(progress) for progress in list_progress(session) if progress.state != "done")


def atlas_page(
    context: AtlasContext,
    score: str | None,
    atlas_filter: AtlasFilter = NO_FILTER,
    view: AtlasView = PLAIN,
) -> AtlasPage:
    """The atlas page, coloured by the score, or by head type if there are annotations and no score is named.

    score: by default the first. Raises NotFound for a score the run does not have, InvalidQuery for a filter
    that cannot be read.
    """
    run = context.run
    names = score_names(context.heads)
    chosen = score or (names[0] if names else "")
    if score is not None and score not in names:
        raise NotFound("the run has no such score")
    annotations = read_notes(context, view.annotator or None)
    colour = view.colour or ("type" if annotations.atlas.by is not None and score is None else "score")
    cells = _cells(context, annotations, make_matcher(chosen, atlas_filter))
    ordered = sorted(cells, key=_order(colour, chosen)) if view.order == "value" else cells
    strong = strong_scores(context.heads)
    matching = [cell for cell in cells if cell.matches]
    return AtlasPage(
        model=run.slug,
        run=summarise_run(run.record),
        n_layers=run.record.model.n_layers,
        n_heads=run.record.model.n_heads,
        score=chosen,
        score_names=names,
        layers=tuple(
            AtlasLayer(
                layer=layer,
                sae=sae_of(run, layer),
                heads=tuple(cell for cell in ordered if cell.head.layer == layer),
                notes=annotations.layers.get(layer),
                strong=tuple(best for best in strong if best.head.layer == layer),
            )
            for layer in range(run.record.model.n_layers)
        ),
        strongest=_strongest(matching, chosen),
        jobs=jobs_under_way(context.session),
        filter=atlas_filter,
        n_matching=len(matching),
        colour=colour,
        order=view.order,
        annotator=view.annotator,
        notes=annotations.atlas,
    )


def _cells(
    context: AtlasContext, annotations: AtlasAnnotations, matches: Callable[[AtlasHead], bool]
) -> list[AtlasHead]:
    cells = [
        AtlasHead(
            head.ref,
            all_scores(head),
            done=annotations.done.get(head.ref, "nobody"),
            notes=annotations.heads.get(head.ref),
        )
        for head in context.heads
    ]
    return [replace(cell, matches=matches(cell)) for cell in cells]


def _order(colour: Colouring, score: str) -> Callable[[AtlasHead], tuple[float, HeadRef]]:
    """The sort key of cells: largest value first, heads without a value last."""

    def value(cell: AtlasHead) -> float:
        notes = cell.notes
        if colour == "score":
            score_value = cell.scores.get(score, math.nan)
            return -score_value if math.isfinite(score_value) else math.inf
        if colour == "progress":
            return -DONE.index(cell.done)
        if notes is None or notes.head_type is None:
            return math.inf
        if colour == "type":
            return HEAD_TYPES.index(notes.head_type)
        return -max((part.count for part in notes.groups if part.name), default=0)

    return lambda cell: (value(cell), cell.head)


def _strongest(cells: Iterable[AtlasHead], score: str) -> tuple[AtlasHead, ...]:
    scored = [cell for cell in cells if math.isfinite(cell.scores.get(score, math.nan))]
    return tuple(sorted(scored, key=lambda cell: (-cell.scores[score], cell.head))[:N_STRONGEST])


def _summary(atlas: AtlasRecord) -> AtlasSummary:
    run = atlas.run
    if run is None:
        return AtlasSummary(atlas.slug, None, None, None, ())
    return AtlasSummary(
        model=atlas.slug,
        run=summarise_run(run),
        n_layers=run.model.n_layers,
        n_heads=run.model.n_heads,
        sae_layers=tuple(sae.layer for sae in run.saes),
    )


def _stages(jobs: Sequence[Job]) -> tuple[JobStage, ...]:
    """All stages of the latest precompute job; empty where there is none."""
    latest = next((job for job in jobs if job.stage in JOB_STAGES), None)
    if latest is None:
        return ()
    at = JOB_STAGES.index(latest.stage)
    state: Literal["running", "failed"] = "failed" if latest.state == "failed" else "running"
    return (
        *(JobStage(name, "done") for name in JOB_STAGES[:at]),
        JobStage(latest.stage, state, latest),
        *(JobStage(name, "waiting") for name in JOB_STAGES[at + 1 :]),
    )


def _job(progress: JobProgress) -> Job:
    return Job(
        fingerprint=progress.fingerprint,
        stage=progress.stage,
        done=progress.done,
        total=progress.total,
        unit=progress.unit,
        rate=progress.rate,
        state=progress.state,
        updated_at=progress.updated_at.isoformat(timespec="seconds"),
        left_s=(progress.total - progress.done) / progress.rate if progress.total and progress.rate else None,
    )
