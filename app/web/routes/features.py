"""The page of one feature, and the list of a layer's features."""

import re
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from app.domain.refs import MAX_INDEX, FeatureRef
from app.services.annotations.citations import citations
from app.services.annotations.feature_notes import notes_panel
from app.services.examples.models import Align
from app.services.features.figure_models import WholeExample
from app.services.features.models import FeaturePage, LayerPage
from app.services.features.page import ExamplePosition, HeadOrSum, feature_page, layer_page, whole_example
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER, Viewer
from app.web.dependencies import AppContextDependency, PageNotFound, parse_feature, parse_through
from app.web.forms.head_query import AlignQuery
from app.web.responses import fragment, is_fragment, redirect, wants_json
from app.web.routes.notes import with_notes
from app.web.run_pages import Changing, run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import feature_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

HeadQuery = Annotated[
    str | None, Query(max_length=30, description="Whose DFA to show: a head, or all, summed")
]
LayerPath = Annotated[int, PathParameter(ge=0, le=MAX_INDEX)]
AfterQuery = Annotated[
    int | None, Query(ge=0, le=MAX_INDEX, description="List the features after this index")
]
# As feature explorers name a dictionary: its layer, then what kind it is.
_SOURCE = re.compile(r"(0|[1-9][0-9]{0,4})-[a-z0-9_-]{1,60}", re.ASCII | re.IGNORECASE)


OpenQuery = Annotated[
    str | None,
    Query(
        alias="open",
        pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$",
        description="An example in full: sequence.position",
    ),
]


@router.get("/{model}/features/{feature}.json", name="feature_json", responses=documents(FeaturePage))
def feature_json(
    request: Request, app_context: AppContextDependency, model: str, feature: str, head: HeadQuery = None
) -> Response:
    """One feature: the part of each head in it, and its examples by activation group through one head."""
    return _feature(request, app_context, model, feature, FeatureQuery(head), NO_VIEWER)


@pages.get("/{model}/features/{feature}", name="feature")
def show_feature(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    feature: str,
    head: HeadQuery = None,
    align: AlignQuery = "prefix",
    opened: OpenQuery = None,
) -> Response:
    """The feature's page, or for htmx the one example to open."""
    return _feature(request, app_context, model, feature, FeatureQuery(head, align, opened), viewer)


@dataclass(frozen=True)
class FeatureQuery:
    """Query parameters of a feature's page, not yet parsed."""

    head: str | None = None
    align: Align = "prefix"
    opened: str | None = None


def _feature(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    feature: str,
    look: FeatureQuery,
    viewer: Viewer,
) -> Response:
    ref = parse_feature(feature)
    if str(ref) != feature:
        return redirect(request, feature_url(model, ref) + (".json" if wants_json(request) else ""))
    through = None if look.head is None else parse_through(look.head)
    place = None if look.opened is None else ExamplePosition(*map(int, look.opened.split(".")))
    if place is not None and is_fragment(request):
        return fragment(
            app_context,
            model,
            lambda context: _cited_example(context, ref, through, look.align, place),
            "partials/whole_example.html",
            viewer,
        )

    def build(context: AtlasContext) -> FeaturePage:
        page = feature_page(context, ref, through, look.align, place)
        context.cache.of_page(context.run, (ref, through), lambda: (page.head,))
        return page if viewer == NO_VIEWER else with_notes(context, page)

    def notes_now(context: AtlasContext) -> tuple[object, ...]:
        (head,) = context.cache.of_page(context.run, (ref, through), lambda: (build(context).head,))
        return notes_panel(context, ref), citations(context, ref, head)

    changing = Changing[FeaturePage](lambda page: (page.annotation, page.citations), notes_now)
    return run_page(
        app_context,
        request,
        model,
        build,
        "pages/feature.html",
        viewer,
        changing=None if viewer == NO_VIEWER else changing,
    )


def _cited_example(
    context: AtlasContext, ref: FeatureRef, through: HeadOrSum | None, align: Align, place: ExamplePosition
) -> WholeExample:
    """The example together with the viewer's citations of it."""
    example = whole_example(context, ref, through, align, place)
    return replace(example, citations=citations(context, example.feature, example.head))


@router.get("/{model}/layers/{layer}.json", name="layer_json", responses=documents(LayerPage))
def layer_json(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    layer: LayerPath,
    after: AfterQuery = None,
) -> Response:
    """A layer's stored features in the order of their index, a hundred at a time."""
    return show_layer(request, app_context, model, layer, after)


@pages.get("/{model}/layers/{layer}", name="layer")
def show_layer(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    layer: LayerPath,
    after: AfterQuery = None,
) -> Response:
    return run_page(
        app_context,
        request,
        model,
        lambda context: layer_page(context, layer, after),
        "pages/layer.html",
    )


@pages.get("/{model}/features/{layer}/{index}")
def split_feature(request: Request, model: str, layer: str, index: str) -> Response:
    return redirect(request, feature_url(model, parse_feature(f"{layer}/{index}")))


@pages.get("/{model}/{source}/{index}")
def explorer_feature(request: Request, model: str, source: str, index: str) -> Response:
    """Redirect from URLs in the style of other feature explorers, such as 5-att-kk/35744."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise PageNotFound("There is no page at this address.")
    ref: FeatureRef = parse_feature(f"{match[1]}/{index}")
    return redirect(request, feature_url(model, ref))
