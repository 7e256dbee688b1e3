"""The experiments of an atlas, and one experiment with its figures."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.models import ExperimentPage, ExperimentsPage
from app.services.experiments.page import (
    experiment_page,
    experiments_page,
    figure_csv,
    figure_of,
    newest_ablation,
)
from app.web.answers import files_content
from app.web.dependencies import AppContextDependency, parse_head
from app.web.responses import changing_page, redirect_to
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import experiment_url, experiments_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

HeadsQuery = Annotated[str, Query(max_length=200, description="Heads to draw, between commas")]
ThresholdQuery = Annotated[
    float | None, Query(ge=0, le=1, description="Attention that counts in natural text")
]
AblateQuery = Annotated[str | None, Query(max_length=30, description="A head: say how to ablate it")]
NameQuery = Annotated[str | None, Query(max_length=40)]


def _options(
    heads: str, threshold: float | None, mode: str | None, definition: str | None, tokens: str | None
) -> FigureOptions:
    refs = tuple(parse_head(part) for part in heads.split(",") if part.strip())
    return FigureOptions(refs, threshold, mode, definition, tokens)


@router.get("/{model}/experiments.json", name="experiments_json", responses=documents(ExperimentsPage))
@pages.get("/{model}/experiments", name="experiments")
def show_experiments(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    ablate: AblateQuery = None,
) -> Response:
    """The experiments of an atlas, newest first."""
    head = None if ablate is None else parse_head(ablate)
    with app_context.open_atlas(model, viewer) as context:
        page = experiments_page(context, head)
    return changing_page(app_context, request, page, "pages/experiments.html")


@pages.get("/{model}/heads/{head}/ablation", name="ablation")
def show_ablation(
    app_context: AppContextDependency, _viewer: ViewerDependency, model: str, head: str
) -> Response:
    """Redirect to the newest ablation of a head, or if there is none, to how to run one."""
    ref = parse_head(head)
    with app_context.open_atlas(model) as context:
        newest = newest_ablation(context, ref)
    if newest is None:
        return redirect_to(f"{experiments_url(model, ablate=ref)}#ablate")
    return redirect_to(experiment_url(model, newest, heads=ref))


@router.get(
    "/{model}/experiments/{experiment}.csv",
    name="experiment_csv",
    responses={200: {"description": "The table of the figure", "content": files_content("csv")}},
    response_class=Response,
)
def experiment_csv(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    experiment: str,
    figure: Annotated[str | None, Query(max_length=80, description="Which figure; default the first")] = None,
    heads: HeadsQuery = "",
) -> Response:
    """The table of one figure of an experiment as CSV."""
    options = _options(heads, None, None, None, None)
    with app_context.open_atlas(model, viewer) as context:
        page = experiment_page(context, experiment, options)
    data = figure_csv(figure_of(page, figure))
    headers = {
        "Content-Disposition": f'attachment; filename="{page.model}-{page.experiment.id}.csv"',
        "Cache-Control": "private, no-cache",
    }
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


@router.get(
    "/{model}/experiments/{experiment}.json", name="experiment_json", responses=documents(ExperimentPage)
)
@pages.get("/{model}/experiments/{experiment}", name="experiment")
def show_experiment(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    experiment: str,
    heads: HeadsQuery = "",
    threshold: ThresholdQuery = None,
    mode: NameQuery = None,
    definition: NameQuery = None,
    tokens: NameQuery = None,
) -> Response:
    """One experiment: its request, its state, and its figures with their tables."""
    options = _options(heads, threshold, mode, definition, tokens)
    with app_context.open_atlas(model, viewer) as context:
        page = experiment_page(context, experiment, options)
    return changing_page(app_context, request, page, "pages/experiment.html")
