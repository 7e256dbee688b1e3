"""Searching an atlas."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.search.models import SearchPage
from app.services.search.page import MAX_PAGES, bare_reference, search_page
from app.services.search.suggestions import search_suggestions
from app.services.search.time_limit import within_time
from app.web.dependencies import AppContextDependency
from app.web.responses import fragment, is_fragment, redirect_to
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency, asker_of
from app.web.urls import feature_url, head_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

QueryText = Annotated[
    str, Query(max_length=300, description='Terms such as promotes:" of", evidence:induction>=0.8, layer:5-7')
]
PageNumber = Annotated[int, Query(ge=1, le=MAX_PAGES, description="Which part of the features, from 1")]


def _search(q: str, page: int) -> Callable[[AtlasContext], SearchPage]:
    return lambda context: within_time(context, lambda: search_page(context, q.strip(), page))


@router.get("/{model}/search.json", name="search_json", responses=documents(SearchPage))
def search_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    q: QueryText = "",
    page: PageNumber = 1,
) -> Response:
    """Heads and features that match all terms of a query."""
    with app_context.searches.turn(asker_of(request, viewer)):
        return run_page(app_context, request, model, _search(q, page), "", viewer)


@pages.get("/{model}/search", name="search")
def show_search(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    q: QueryText = "",
    page: PageNumber = 1,
    typing: bool = False,
) -> Response:
    """The search page, a redirect if the query is just a head or feature, or completions for htmx."""
    with app_context.searches.turn(asker_of(request, viewer)):
        if typing and is_fragment(request):
            return fragment(
                app_context,
                model,
                lambda context: within_time(context, lambda: search_suggestions(context, q)),
                "partials/search_suggestions.html",
                viewer,
            )
        with app_context.open_atlas(model) as context:
            ref = bare_reference(context, q)
        if ref is not None:
            return redirect_to(head_url(model, ref) if isinstance(ref, HeadRef) else feature_url(model, ref))
        return run_page(app_context, request, model, _search(q, page), "pages/search.html", viewer)
