"""Summaries of annotations: the layer table, and the comparison with published facts."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.services.reading.context import AtlasContext
from app.services.sheet.models import AnnotatedLayersPage, PublishedPage
from app.services.sheet.pages import NoSuchAnnotator, layers_page, published_page
from app.web.dependencies import AppContextDependency, PageNotFound
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency

router = APIRouter()
pages = APIRouter(include_in_schema=False)
P = TypeVar("P")

ByQuery = Annotated[
    str | None, Query(max_length=400, description="Whose labels; default the consensus, else one's own")
]


def _builder(
    make_page: Callable[[AtlasContext, str | None], P], by: str | None
) -> Callable[[AtlasContext], P]:
    """Builds the page of an annotator's records; a 404 for one without any that the viewer may see."""

    def build(context: AtlasContext) -> P:
        try:
            return make_page(context, by or None)
        except NoSuchAnnotator as error:
            raise PageNotFound("Nobody of that name has a submitted record that you may see.") from error

    return build


@router.get("/{model}/layers.json", name="annotated_layers_json", responses=documents(AnnotatedLayersPage))
def layers_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
) -> Response:
    """One annotator's labels, by layer and by head type."""
    return run_page(app_context, request, model, _builder(layers_page, by), "", viewer)


@pages.get("/{model}/layers", name="annotated_layers")
def show_layers(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
) -> Response:
    template = "pages/annotated_layers.html"
    return run_page(app_context, request, model, _builder(layers_page, by), template, viewer)


@router.get("/{model}/published.json", name="published_json", responses=documents(PublishedPage))
def published_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
) -> Response:
    """One annotator's records beside the published facts about the model's heads."""
    return run_page(app_context, request, model, _builder(published_page, by), "", viewer)


@pages.get("/{model}/published", name="published")
def show_published(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
) -> Response:
    template = "pages/published.html"
    return run_page(app_context, request, model, _builder(published_page, by), template, viewer)
