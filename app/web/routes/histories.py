"""The history of a head's annotation, and restoring an old version."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from app.domain.annotations.records import MAX_VERSION
from app.services.annotations import saving
from app.services.annotations.history import history_page
from app.services.annotations.models import HistoryPage
from app.services.annotations.saving import Restore
from app.services.reading.context import AtlasContext
from app.web.dependencies import AppContextDependency, PageNotFound, parse_head
from app.web.forms.head_query import HeadQuery, HeadQueryDependency
from app.web.responses import see_other
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import history_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

AnnotatorQuery = Annotated[
    str | None, Query(max_length=400, description="Whose record; one's own by default")
]
Below = Annotated[
    int | None,
    Query(ge=1, le=MAX_VERSION + 1, description="Only versions below this one; `newer` and `older` give it"),
]
Version = Annotated[int, Form(ge=0, le=MAX_VERSION)]


@router.get("/{model}/heads/{head}/history.json", name="history_json", responses=documents(HistoryPage))
def history_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    annotator: AnnotatorQuery = None,
    below: Below = None,
) -> Response:
    """Revisions of one record of a head with their changes, newest first: the newest 25, or those below a version.

    `older` is the `below` to ask for next, until it is null.
    """
    return show_history(request, app_context, viewer, model, head, HeadQuery(), annotator, below)


@pages.get("/{model}/heads/{head}/history", name="history")
def show_history(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    query: HeadQueryDependency,
    annotator: AnnotatorQuery = None,
    below: Below = None,
) -> Response:
    ref = parse_head(head)
    if annotator is not None and not annotator.isprintable():
        raise PageNotFound("Nobody of that name has annotated here.")

    def build(context: AtlasContext) -> HistoryPage:
        page = history_page(context, ref, annotator, below)
        return replace(page, rank=query.rank, k=query.k, align=query.align, look=viewer.second_look)

    return run_page(app_context, request, model, build, "pages/history.html", viewer)


@pages.post("/{model}/heads/{head}/history")
def restore(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    version: Version,
    base_version: Version,
    query: HeadQueryDependency,
) -> Response:
    """Append the old version's content as a new revision, so that no version is lost."""
    ref = parse_head(head)
    key = f"restore {version} {base_version}"
    with app_context.change_atlas(model, viewer) as context:
        saving.restore(context, Restore(ref, version, base_version, key), app_context.now())
    address = history_url(model, ref, look=query.look, rank=query.rank, k=query.k, align=query.align)
    return see_other(address)
