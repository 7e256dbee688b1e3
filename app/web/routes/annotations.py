"""Annotating a head: the form's actions, the records as JSON, and the next head to annotate."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.domain.annotations.records import HeadAnnotation, Revision
from app.domain.refs import HeadRef
from app.errors import AppError
from app.services.annotations.edits import FINISHING, SubmittedForm, apply_action
from app.services.annotations.head_records import head_records, record_state
from app.services.annotations.models import HeadRecordsPage
from app.services.annotations.next_heads import NextHead
from app.services.annotations.panel import Attempt
from app.services.annotations.record_words import clash_view
from app.services.annotations.saving import propose_merge
from app.services.annotations.second_looks import next_look
from app.services.heads.annotated import annotated_head
from app.services.heads.page import HeadQuestion
from app.services.reading.context import AtlasContext, check_head
from app.services.reading.visibility import Viewer, WorkOrder
from app.store.annotations import Conflict
from app.web.dependencies import AppContext, AppContextDependency, parse_head
from app.web.forms.annotations import Fields, read_head_form
from app.web.forms.head_query import HeadQuery, HeadQueryDependency
from app.web.responses import redirect_to, refusal, script_response, see_other, uncached_page
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency, remember_order, remember_second_looks
from app.web.urls import atlas_url, head_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)


@router.get(
    "/{model}/heads/{head}/annotation.json", name="annotation_json", responses=documents(HeadRecordsPage)
)
def annotation_json(
    request: Request, app_context: AppContextDependency, viewer: ViewerDependency, model: str, head: str
) -> Response:
    """The viewer's record of a head and those of others that they may see; or the viewer's second look at it."""
    ref = parse_head(head)

    def build(context: AtlasContext) -> HeadRecordsPage:
        check_head(context.run, ref)
        return head_records(context, ref)

    return run_page(app_context, request, model, build, "", viewer)


@pages.get("/{model}/next", name="next_head")
def show_next(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    order: WorkOrder | None = None,
    again: bool | None = None,
) -> Response:
    """Redirect to the next head that the viewer has to annotate, or to the atlas if there is none.

    order: the order of work from now on. again: whether a tenth of the heads that the viewer submitted here comes up
    for a second look. Cookies keep both.
    """
    if viewer.may_write:
        viewer = replace(viewer, order=order or viewer.order, again=viewer.again if again is None else again)
    with app_context.open_atlas(model, viewer) as context:
        following = next_look(context, None)
    address = head_url(model, following.head, look=following.look) if following else atlas_url(model)
    response = redirect_to(address)
    if order is not None:
        remember_order(request, app_context, order, response)
    if again is not None:
        remember_second_looks(request, app_context, model, again, response)
    return response


@pages.post("/{model}/heads/{head}/annotation", name="annotate")
def annotate(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    fields: Fields,
    query: HeadQueryDependency,
) -> Response:
    """Save the form, then redirect to the next head if the button finished this one, else back to it.

    The address keeps the query of the page. Scripts get the new state as JSON instead.
    """
    ref, form = parse_head(head), read_head_form(fields)
    scripted = "application/json" in request.headers.get("Accept", "")
    try:
        with app_context.change_atlas(model, viewer) as context:
            record = apply_action(context, ref, form, app_context.now())
    except AppError as error:
        if isinstance(error, Conflict) or error.status_code in (413, 422):
            if scripted:
                return script_response({"error": refusal(error)}, error.status_code)
            return _not_saved(app_context, viewer, model, query.question(ref), form, error)
        raise
    if scripted:
        return _state(app_context, viewer, model, ref, record, query)
    address = _address_after(app_context, viewer, model, ref, query, form.action)
    return see_other(address)


def _address_after(
    app_context: AppContext, viewer: Viewer, model: str, ref: HeadRef, query: HeadQuery, action: str
) -> str:
    here = query.address(model, ref)
    if action not in FINISHING:
        return f"{here}#annotation"
    with app_context.open_atlas(model, viewer) as context:
        following = next_look(context, ref)
    return _address_of(query, model, following) if following else here


def _address_of(query: HeadQuery, model: str, following: NextHead) -> str:
    look = None if following.look is None else str(following.look)
    return replace(query.without_row(), look=look).address(model, following.head)


def _state(
    app_context: AppContext,
    viewer: Viewer,
    model: str,
    ref: HeadRef,
    record: Revision | None,
    query: HeadQuery,
) -> Response:
    """The state after a save as JSON, with the values that the page's script cannot compute."""
    with app_context.open_atlas(model, viewer) as context:
        page = record_state(context, ref)
        following = next_look(context, ref)
    state = {
        "version": record.version if record else 0,
        "status": record.status if record else "draft",
        "saved_at": page.saved_at,
        "counts": page.counts,
        "changes": list(page.changes),
        "novel": list(page.novel),
        "can_undo": page.can_undo,
        "can_redo": page.can_redo,
        "next": _address_of(query, model, following) if following else atlas_url(model),
    }
    return script_response(state)


def _not_saved(
    app_context: AppContext,
    viewer: Viewer,
    model: str,
    question: HeadQuestion,
    form: SubmittedForm,
    error: AppError,
) -> Response:
    """The page with the form as it was filled in; after a conflict, merged with what is stored."""
    message = refusal(error)
    attempt = Attempt(form.content, form.base_version, message)
    if isinstance(error, Conflict):
        merged = propose_merge(error)
        content = merged.content
        if not isinstance(content, HeadAnnotation):
            raise error
        clashes = tuple(map(clash_view, merged.clashes))
        attempt = Attempt(content, error.theirs.version, message, clashes)
    with app_context.open_atlas(model, viewer) as context:
        page = annotated_head(context, question, attempt)
    return uncached_page(app_context, page, "pages/head.html", error.status_code)
