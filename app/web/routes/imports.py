"""Importing a spreadsheet: upload, preview of the changes, then import of all or nothing."""

import time
from typing import Annotated

from anyio import from_thread
from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import Response

from app.errors import AppError
from app.services.reading.visibility import Forbidden, Viewer
from app.services.sheet.csv_json_parquet import MAX_IMPORT_BYTES, InvalidSheet
from app.services.sheet.import_page import (
    PlanChanged,
    Upload,
    apply_plan,
    check_may_import,
    describe_plan,
    import_page,
    plan_upload,
)
from app.services.sheet.imports import Plan, Watch
from app.services.sheet.models import ImportDiff, MappedColumn
from app.services.sheet.reading_process import MAX_WAIT_S, UploadAbandoned
from app.web.dependencies import AppContext, AppContextDependency
from app.web.responses import see_other, uncached_page
from app.web.sessions import ViewerDependency
from app.web.urls import annotations_url

pages = APIRouter(include_in_schema=False)

ASK_S = 0.1


@pages.get("/{model}/annotations/import", name="import")
def show_import(app_context: AppContextDependency, viewer: ViewerDependency, model: str) -> Response:
    return _page(app_context, viewer, model)


def _page(
    app_context: AppContext,
    viewer: Viewer,
    model: str,
    diff: ImportDiff | None = None,
    error: AppError | None = None,
) -> Response:
    with app_context.open_atlas(model, viewer) as context:
        page = import_page(context, diff, str(error or ""))
    return uncached_page(app_context, page, "pages/import.html", error.status_code if error else 200)


def _watch(request: Request) -> Watch:
    """A function that raises if the client has left or a minute is over; it checks at most ten times a second."""
    deadline = time.monotonic() + MAX_WAIT_S
    asked_at = time.monotonic()

    def watch() -> None:
        nonlocal asked_at
        now = time.monotonic()
        if now < asked_at + ASK_S:
            return
        asked_at = now
        if now > deadline:
            raise InvalidSheet(f"reading the sheet took more than {MAX_WAIT_S:g} seconds")
        if from_thread.run(request.is_disconnected):
            raise UploadAbandoned("the browser has left")

    return watch


def _planned(
    app_context: AppContext, viewer: Viewer, model: str, upload: Upload, watch: Watch
) -> tuple[Plan, tuple[MappedColumn, ...]]:
    """The changes that the upload would make. The store is read first, and released before the sheet is read."""
    with app_context.open_atlas(model, viewer) as context:
        check_may_import(context)
    return plan_upload(context, upload, app_context.now(), watch)


def _diff(app_context: AppContext, viewer: Viewer, model: str, upload: Upload, watch: Watch) -> ImportDiff:
    """A preview of what the upload would change; the upload is held until it is imported."""
    plan, columns = _planned(app_context, viewer, model, upload, watch)
    token = app_context.uploads.keep(model, viewer.annotator_id, upload)
    return describe_plan(upload, token, plan, columns)


@pages.post("/{model}/annotations/import", name="import_sheet")
def take_import(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    action: Annotated[str, Form(max_length=10)] = "show",
    file: Annotated[UploadFile | None, File()] = None,
    token: Annotated[str, Form(max_length=100)] = "",
    plan: Annotated[str, Form(max_length=100)] = "",
    column: Annotated[list[str] | None, Form()] = None,
    ours: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Show a preview of the sheet (again if its columns are mapped differently), or import it."""
    mapping = dict(zip(column or (), ours or (), strict=False))
    try:
        with app_context.uploads.turn(viewer.annotator_id):
            if file is not None and file.filename:
                upload = Upload(file.filename, file.file.read(MAX_IMPORT_BYTES + 1), mapping)
            else:
                previous = app_context.uploads.get(model, viewer.annotator_id, token)
                upload = Upload(previous.file_name, previous.data, mapping)
            watch = _watch(request)
            if action == "store":
                return _store(app_context, viewer, model, upload, plan, watch)
            diff = _diff(app_context, viewer, model, upload, watch)
        return _page(app_context, viewer, model, diff)
    except Forbidden:
        raise
    except AppError as error:
        if error.status_code >= 500 or error.status_code == 404:
            raise
        return _page(app_context, viewer, model, error=error)


def _store(
    app_context: AppContext, viewer: Viewer, model: str, upload: Upload, digest: str, watch: Watch
) -> Response:
    """Import the sheet, or show a new preview if the records have changed since the last one."""
    plan, _ = _planned(app_context, viewer, model, upload, watch)
    try:
        with app_context.change_atlas(model, viewer) as context:
            done = apply_plan(context, plan, digest, app_context.now())
    except PlanChanged as error:
        return _page(app_context, viewer, model, _diff(app_context, viewer, model, upload, watch), error)
    app_context.uploads.drop(model, viewer.annotator_id)
    return see_other(annotations_url(model, imported=done))
