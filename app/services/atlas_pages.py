"""Use cases of the two pages that give the overview: the list of atlases, and one atlas."""

import math
from collections.abc import Callable, Iterable, Mapping

from sqlalchemy.orm import Session

from app.domain.records import AtlasRecord, JobProgress
from app.errors import NotFound
from app.services.feature_parts import summarise_run
from app.services.page_models import (
    AtlasFilter,
    AtlasHead,
    AtlasLayer,
    AtlasPage,
    AtlasSummary,
    IndexPage,
    Job,
)
from app.services.pages import Reading, all_scores, in_order, sae_of
from app.services.search_query import parse_layers
from app.store.dashboards import list_atlases
from app.store.progress import list_progress

N_STRONGEST = 8
NO_FILTER = AtlasFilter()


def index_page(session: Session) -> IndexPage:
    atlases = tuple(_summary(atlas) for atlas in list_atlases(session))
    return IndexPage(atlases=atlases, jobs=jobs_under_way(session))


def jobs_under_way(session: Session) -> tuple[Job, ...]:
    """Jobs that run, and those that failed: both are news to someone who waits."""
    return tuple(_job(progress) for progress in list_progress(session) if progress.state != "done")


def atlas_page(reading: Reading, score: str | None, wanted: AtlasFilter = NO_FILTER) -> AtlasPage:
    """Coloured by the score, by default the first.

    Raises NotFound for a score the run does not have, InvalidQuery for a filter of layers that cannot be read.
    """
    run, heads = reading.run, reading.heads
    names = in_order(name for head in heads for name in all_scores(head))
    chosen = score or (names[0] if names else "")
    if score is not None and score not in names:
        raise NotFound("the run has no such score")
    model = run.record.model
    matches = _matcher(chosen, wanted)
    cells = {
        head.ref: AtlasHead(head.ref, all_scores(head), matches(head.ref.layer, all_scores(head)))
        for head in heads
    }
    matching = [cell for cell in cells.values() if cell.matches]
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
        strongest=_strongest(matching, chosen),
        jobs=jobs_under_way(reading.session),
        filter=wanted,
        n_matching=len(matching),
    )


def _matcher(score: str, wanted: AtlasFilter) -> Callable[[int, Mapping[str, float]], bool]:
    layers = parse_layers(wanted.layers) if wanted.layers else None
    low = -math.inf if wanted.low is None else wanted.low
    high = math.inf if wanted.high is None else wanted.high
    ranged = wanted.low is not None or wanted.high is not None

    def matches(layer: int, scores: Mapping[str, float]) -> bool:
        if layers is not None and layer not in layers:
            return False
        return not ranged or low <= scores.get(score, math.nan) <= high

    return matches


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
