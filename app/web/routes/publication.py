"""The annotations to publish: a page with one entry per head, and its files."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.errors import NotFound
from app.services.reading.context import AtlasContext
from app.services.sheet.files import Export
from app.services.sheet.pages import NoSuchAnnotator
from app.services.sheet.publication import publication_page
from app.services.sheet.publication_files import PUBLICATION_FORMATS, PublicationFormat, export_publication
from app.services.sheet.publication_models import PublicationPage
from app.web.answers import files_content
from app.web.dependencies import AppContextDependency, PageNotFound
from app.web.run_pages import run_file, run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency

router = APIRouter()
pages = APIRouter(include_in_schema=False)

FORMATS: dict[str, PublicationFormat] = {name: name for name in PUBLICATION_FORMATS}
FILES: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The published tables as a file",
        "content": files_content(*PUBLICATION_FORMATS, "json"),
    }
}
ByQuery = Annotated[
    str | None,
    Query(max_length=400, description="Whose records stand where there is no consensus; default one's own"),
]
PartQuery = Annotated[int, Query(ge=1, le=10_000, description="Which part of the entries")]
_NOBODY = "Nobody of that name has a submitted record that you may see."


@router.get(
    "/{model}/annotations/publish.json", name="publication_json", responses=documents(PublicationPage)
)
def publication_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
    page: PartQuery = 1,
) -> Response:
    """One entry per head, of submitted records and the consensus, with the features and examples that it rests on."""
    return run_page(app_context, request, model, lambda context: _page(context, by, page), "", viewer)


@pages.get("/{model}/annotations/publish", name="publication")
def show_publication(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    by: ByQuery = None,
    page: PartQuery = 1,
) -> Response:
    template = "pages/publication.html"
    return run_page(app_context, request, model, lambda context: _page(context, by, page), template, viewer)


def _page(context: AtlasContext, by: str | None, page: int) -> PublicationPage:
    try:
        return publication_page(context, by or None, page)
    except NoSuchAnnotator as error:
        raise PageNotFound(_NOBODY) from error
    except NotFound as error:
        raise PageNotFound("The entries have no such part.") from error


@router.get(
    "/{model}/annotations/publish.{file_format}",
    name="publication_file",
    responses=FILES,
    response_class=Response,
)
def publication_file(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    file_format: str,
    by: ByQuery = None,
) -> Response:
    """The entries and tables as xlsx to print, csv, or the tables of types and layers as md and tex."""
    chosen = FORMATS.get(file_format)
    if chosen is None:
        raise PageNotFound("The published tables come as xlsx, csv, md and tex.")
    site = app_context.access.public_url or str(request.base_url)

    def build(context: AtlasContext) -> Export:
        try:
            return export_publication(context, chosen, by or None, site)
        except NoSuchAnnotator as error:
            raise PageNotFound(_NOBODY) from error

    return run_file(app_context, request, model, build, chosen, viewer)
