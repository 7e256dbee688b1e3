"""Use cases of the two pages that give the overview: the list of atlases, and one atlas."""

import math
from collections.abc import Iterable

from sqlalchemy.orm import Session

from app.domain.records import AtlasRecord, JobProgress
from app.errors import NotFound
from app.services.feature_parts import summarise_run
from app.services.page_models import AtlasHead, AtlasLayer, AtlasPage, AtlasSummary, IndexPage, Job
from app.services.pages import Reading, all_scores, in_order, sae_of
from app.store.dashboards import list_atlases
from app.store.progress import list_progress

N_STRONGEST = 8


def index_page(session: Session) -> IndexPage:
    atlases = tuple(_summary(atlas) for atlas in list_atlases(session))
    return IndexPage(atlases=atlases, jobs=jobs_under_way(session))


def jobs_under_way(session: Session) -> tuple[Job, ...]:
    """Jobs that run, and those that failed: both are news to someone who waits."""
    return tuple(_job(progress) for progress in list_progress(session) if progress.state != "done")


def atlas_page(reading: Reading, score: str | None) -> AtlasPage:
    """Coloured by the score, by default the first. Raises NotFound for a score the run does not have."""
    run, heads = reading.run, reading.heads
    names = in_order(name for head in heads for name in all_scores(head))
    chosen = score or (names[0] if names else "")
    if score is not None and score not in names:
        raise NotFound("the run has no such score")
    model = run.record.model
    cells = {head.ref: AtlasHead(head.ref, all_scores(head)) for head in heads}
    return AtlasPage(
        model=run.slug,
        run=summarise_run(run.record),
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        score=chosen,
        score_names=names,
        layers=tuple(
            AtlasLayer(
                layer=layer,
                sae=sae_of(run, layer),
                heads=tuple(cell for ref, cell in sorted(cells.items()) if ref.layer == layer),
            )
            for layer in range(model.n_layers)
        ),
        strongest=_strongest(cells.values(), chosen),
        jobs=jobs_under_way(reading.session),
    )


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
    )
