"""The list of atlases, the page of one atlas, and the card of one of its heads."""

import math
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.errors import AppError
from app.services.atlas.annotation_models import Colouring, Order
from app.services.atlas.cards import head_card
from app.services.atlas.models import AtlasFilter, AtlasPage, IndexPage
from app.services.atlas.page import AtlasView, atlas_page, index_page, jobs_under_way
from app.services.reading.context import AtlasContext
from app.services.reading.layer_ranges import InvalidQuery
from app.web.dependencies import AppContextDependency, parse_head
from app.web.responses import NO_STORE, changing_page, fragment, is_fragment, redirect_to
from app.web.run_pages import Changing, run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import atlas_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

LayersQuery = Annotated[str, Query(max_length=60, description="Layers that stand out, such as 5-7 or 2,5")]
RangeQuery = Annotated[str, Query(max_length=30, description="Bound of the score of heads that stand out")]
WordQuery = Annotated[str, Query(max_length=60)]


@pages.get("/", name="index")
def show_index(request: Request, app_context: AppContextDependency) -> Response:
    """The list of atlases, or a redirect if there is exactly one and it is published.

    A page that waits for the first atlas asks for a fragment, and is told where to go once there is one.
    """
    with app_context.session() as session:
        page = index_page(session)
    only = page.atlases[0] if len(page.atlases) == 1 else None
    address = atlas_url(only.model) if only is not None and only.run is not None else None
    if page.has_published and is_fragment(request):
        return Response(headers={**NO_STORE, "HX-Redirect": address or "/", "Vary": "HX-Request"})
    if address is not None:
        return redirect_to(address)
    return changing_page(app_context, request, page, "pages/index.html")


@router.get("/atlases.json", name="index_json", responses=documents(IndexPage))
def index_json(request: Request, app_context: AppContextDependency) -> Response:
    """The atlases of the store, and the jobs in progress."""
    with app_context.session() as session:
        page = index_page(session)
    return changing_page(app_context, request, page, "")


class InvalidFilter(AppError):
    """A filter of the atlas that cannot be read."""

    status_code = 422


def _number(text: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise InvalidFilter("A score is filtered by numbers, such as from 0.3 to 1.")
    return value


async def _filter(
    layers: LayersQuery = "",
    low: RangeQuery = "",
    high: RangeQuery = "",
    role: WordQuery = "",
    head_type: Annotated[str, Query(alias="type", max_length=60)] = "",
    status: WordQuery = "",
) -> AtlasFilter:
    return AtlasFilter(layers.strip(), _number(low), _number(high), role.strip(), head_type, status)


async def _view(
    colour: Annotated[Colouring | None, Query(description="What the cells are coloured by")] = None,
    order: Annotated[Order, Query(description="Order of heads within a layer")] = "index",
    annotator: Annotated[str, Query(max_length=120, description="Whose labels are shown")] = "",
) -> AtlasView:
    return AtlasView(colour, order, annotator)


FilterDependency = Annotated[AtlasFilter, Depends(_filter)]
ViewDependency = Annotated[AtlasView, Depends(_view)]


@router.get("/{model}.json", name="atlas_json", responses=documents(AtlasPage))
def atlas_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    atlas_filter: FilterDependency,
    view: ViewDependency,
    score: str | None = None,
) -> Response:
    """Every head of the model with its scores and annotations."""
    return show_atlas(request, app_context, viewer, model, atlas_filter, view, score)


@pages.get("/{model}", name="atlas")
def show_atlas(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    atlas_filter: FilterDependency,
    view: ViewDependency,
    score: str | None = None,
) -> Response:
    def build(context: AtlasContext) -> AtlasPage:
        try:
            return atlas_page(context, score, atlas_filter, view)
        except InvalidQuery as error:
            raise InvalidFilter(str(error)) from error

    def jobs(context: AtlasContext) -> str:
        return repr(jobs_under_way(context.session))

    return run_page(
        app_context, request, model, build, "pages/atlas.html", viewer, jobs, Changing(lambda page: page)
    )


@pages.get("/{model}/heads/{head}/card", name="head_card")
def show_card(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    annotator: WordQuery = "",
) -> Response:
    """The card of one head, a fragment that the atlas loads for its cells."""
    ref = parse_head(head)
    return fragment(
        app_context,
        model,
        lambda context: head_card(context, ref, annotator or None),
        "partials/head_card.html",
        viewer,
    )
