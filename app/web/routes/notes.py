"""A feature's page with the viewer's label and note, and saving them."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from app.domain.annotations.records import MAX_VERSION, FeatureNote
from app.domain.refs import FeatureRef
from app.errors import AppError
from app.services.annotations.citations import citations
from app.services.annotations.feature_notes import NoteAttempt, notes_page, notes_panel, save_note
from app.services.annotations.models import NotesPage
from app.services.features.models import FeaturePage
from app.services.features.page import HeadOrSum, feature_page
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.store.annotations import Conflict
from app.web.dependencies import AppContext, AppContextDependency, parse_feature, parse_through
from app.web.responses import refusal, see_other, uncached_page
from app.web.run_pages import run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import feature_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)

HeadField = Annotated[str, Form(max_length=30)]
Version = Annotated[int, Form(ge=0, le=MAX_VERSION)]


def with_notes(context: AtlasContext, page: FeaturePage, attempt: NoteAttempt | None = None) -> FeaturePage:
    """The feature's page with the labels and notes that the viewer may see, and the form for their own."""
    return replace(
        page,
        annotation=notes_panel(context, page.feature, attempt),
        citations=citations(context, page.feature, page.head),
    )


@router.get("/{model}/features/{feature}/notes.json", name="notes_json", responses=documents(NotesPage))
def notes_json(
    request: Request, app_context: AppContextDependency, viewer: ViewerDependency, model: str, feature: str
) -> Response:
    """The viewer's label and note of a feature, and others' as far as they may be seen."""
    ref = parse_feature(feature)
    return run_page(app_context, request, model, lambda context: notes_page(context, ref), "", viewer)


@pages.post("/{model}/features/{feature}/notes", name="note")
def save(
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    feature: str,
    base_version: Version,
    label: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    head: HeadField = "",
) -> Response:
    """Save label and note. A conflict shows the form again with both texts."""
    ref, through = parse_feature(feature), parse_through(head) if head else None
    content = FeatureNote(label, note)
    try:
        with app_context.change_atlas(model, viewer) as context:
            save_note(context, ref, content, base_version, app_context.now())
    except AppError as error:
        if not isinstance(error, Conflict) and error.status_code not in (413, 422):
            raise
        attempt = _attempt(content, base_version, error)
        return _not_saved(app_context, viewer, model, ref, through, attempt, error.status_code)
    address = feature_url(model, ref, head=through, look=viewer.second_look)
    return see_other(f"{address}#notes")


def _attempt(content: FeatureNote, base_version: int, error: AppError) -> NoteAttempt:
    message = refusal(error)
    if isinstance(error, Conflict) and isinstance(error.theirs.content, FeatureNote):
        return NoteAttempt(content, error.theirs.version, message, error.theirs.content)
    return NoteAttempt(content, base_version, message)


def _not_saved(
    app_context: AppContext,
    viewer: Viewer,
    model: str,
    ref: FeatureRef,
    through: HeadOrSum | None,
    attempt: NoteAttempt,
    status: int,
) -> Response:
    with app_context.open_atlas(model, viewer) as context:
        page = with_notes(context, feature_page(context, ref, through), attempt)
    return uncached_page(app_context, page, "pages/feature.html", status)
