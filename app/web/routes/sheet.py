"""The spreadsheet of annotations as page and files, the agreement, and setting a head's consensus."""

import uuid
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from app.domain.annotations.records import MAX_VERSION
from app.domain.refs import HeadRef
from app.errors import AppError, NotFound
from app.services.reading.context import AtlasContext
from app.services.reading.layer_ranges import InvalidQuery
from app.services.reading.visibility import Forbidden, Viewer
from app.services.sheet.consensus import ConsensusForm, conflict_message, consensus_page, save_consensus
from app.services.sheet.files import SHEET_FORMATS, WHOLE, SheetFormat, export_annotations
from app.services.sheet.models import AgreementPage, AnnotationsPage
from app.services.sheet.pages import agreement_page, annotations_page
from app.services.sheet.selection import DEFAULT_COLUMNS, InvalidView, SheetView, make_view
from app.store.annotations import Conflict
from app.web.answers import files_content
from app.web.dependencies import AppContext, AppContextDependency, PageNotFound, parse_head
from app.web.responses import see_other, uncached_page
from app.web.run_pages import run_file, run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import annotations_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

FORMATS: dict[str, SheetFormat] = {name: name for name in SHEET_FORMATS}
FILES: dict[int | str, dict[str, object]] = {
    200: {"description": "The rows of the view as a file", "content": files_content(*SHEET_FORMATS)}
}


def asked_view(
    columns: Annotated[list[str] | None, Query(description="Columns between commas", max_length=60)] = None,
    layers: Annotated[str, Query(max_length=60, description="Layers, such as 5-7 or 2,5")] = "",
    by: Annotated[str, Query(max_length=400, description="An annotator")] = "",
    head_type: Annotated[str, Query(alias="type", max_length=40, description="A head type")] = "",
    role: Annotated[str, Query(max_length=60, description="A role")] = "",
    status: Annotated[str, Query(max_length=20, description="draft, submitted, unsure or skipped")] = "",
    agreement: Annotated[str, Query(max_length=20, description="agree, differs or single")] = "",
    sort: Annotated[
        str, Query(max_length=40, description="A column, after - with the largest first")
    ] = "head",
) -> SheetView:
    """The view that the query string describes.

    Without columns, a file has all of them and the page the default ones.

    Raises InvalidView.
    """
    listed = [name.strip() for part in columns or () for name in part.split(",") if name.strip()]
    try:
        return make_view(
            listed or WHOLE.columns,
            layers=layers.strip(),
            by=by,
            head_type=head_type,
            role=role,
            status=status,
            agreement=agreement,
            sort=sort.removeprefix("-") or "head",
            descending=sort.startswith("-"),
        )
    except InvalidQuery as error:
        raise InvalidView("Layers are a list such as 5-7 or 2,5.") from error


ViewDependency = Annotated[SheetView, Depends(asked_view)]


@router.get("/{model}/agreement.json", name="agreement_json", responses=documents(AgreementPage))
def agreement_json(
    request: Request, app_context: AppContextDependency, viewer: ViewerDependency, model: str
) -> Response:
    """Agreement of annotators, the confusion of head types, and the heads on which they disagree."""
    return run_page(app_context, request, model, agreement_page, "", viewer)


@router.get(
    "/{model}/annotations.{file_format}", name="annotations_file", responses=FILES, response_class=Response
)
def annotations_file(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    view: ViewDependency,
    model: str,
    file_format: str,
) -> Response:
    """The spreadsheet as csv, xlsx, json or parquet: all of it, or the rows and columns of a view."""
    chosen = FORMATS.get(file_format)
    if chosen is None:
        raise PageNotFound("The sheet comes as csv, xlsx, json and parquet.")
    return run_file(
        app_context, request, model, lambda context: export_annotations(context, chosen, view), chosen, viewer
    )


@pages.get("/{model}/annotations", name="annotations")
def show_annotations(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    view: ViewDependency,
    model: str,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    imported: Annotated[int | None, Query(ge=0, le=1_000_000)] = None,
) -> Response:
    # Without any columns asked for, the page shows those that fit, and files have all.
    page_view = view if "columns" in request.query_params else replace(view, columns=DEFAULT_COLUMNS)

    def build(context: AtlasContext) -> AnnotationsPage:
        try:
            return annotations_page(context, page_view, page, imported)
        except NotFound as error:
            raise PageNotFound("The sheet has no such page.") from error

    return run_page(app_context, request, model, build, "pages/annotations.html", viewer)


@pages.get("/{model}/annotations/settle/{head}", name="consensus")
def show_consensus(
    app_context: AppContextDependency, viewer: ViewerDependency, model: str, head: str
) -> Response:
    return _form(app_context, viewer, model, parse_head(head))


def _form(
    app_context: AppContext,
    viewer: Viewer,
    model: str,
    head: HeadRef,
    submission: ConsensusForm | None = None,
    error: AppError | None = None,
) -> Response:
    """The consensus form; after an error, with what was submitted and the reason."""
    message = str(error or "")
    if submission and isinstance(error, Conflict):
        # Sent again, it is a change of the record that was in the way.
        message, submission = conflict_message(error), replace(submission, base_version=error.theirs.version)
    with app_context.open_atlas(model, viewer) as context:
        page = consensus_page(context, head, str(uuid.uuid4()), submission, message)
    return uncached_page(app_context, page, "pages/consensus.html", error.status_code if error else 200)


@pages.post("/{model}/annotations/settle/{head}", name="save_consensus")
def submit_consensus(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    key: Annotated[str, Form(max_length=100)],
    base: Annotated[str, Form(max_length=400)] = "",
    head_type: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form()] = "",
    roles: Annotated[str, Form(max_length=4000)] = "",
    notes: Annotated[str, Form()] = "",
    base_version: Annotated[int, Form(ge=0, le=MAX_VERSION)] = 0,
) -> Response:
    """Save the head's consensus, then redirect to the remaining disagreements."""
    ref = parse_head(head)
    form = ConsensusForm(base, head_type, reason, roles, notes, base_version, key)
    try:
        with app_context.change_atlas(model, viewer) as context:
            save_consensus(context, ref, form, app_context.now())
    except (Forbidden, NotFound):
        raise
    except AppError as error:
        if error.status_code >= 500:
            raise
        return _form(app_context, viewer, model, ref, form, error)
    return see_other(f"{annotations_url(model)}#settle")
