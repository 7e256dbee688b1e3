"""The list of atlases, and one atlas."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.services.atlas_pages import atlas_page, index_page
from app.services.page_models import AtlasPage, IndexPage
from app.web.answers import changing_page
from app.web.dependencies import SiteDependency
from app.web.schema import documents
from app.web.urls import atlas_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)


@pages.get("/", name="index")
def show_index(request: Request, site: SiteDependency) -> Response:
    """With exactly one published atlas and nothing under way, that atlas is the front page."""
    with site.session() as session:
        page = index_page(session)
    if len(page.atlases) == 1 and page.atlases[0].run is not None:
        return RedirectResponse(atlas_url(page.atlases[0].model), 307, {"Cache-Control": "no-store"})
    return changing_page(site, request, page, "pages/index.html")


@router.get("/atlases.json", name="index_json", responses=documents(IndexPage))
def index_twin(request: Request, site: SiteDependency) -> Response:
    """The atlases of the store and the jobs under way."""
    with site.session() as session:
        page = index_page(session)
    return changing_page(site, request, page, "")


@router.get("/{model}.json", name="atlas_json", responses=documents(AtlasPage))
def atlas_twin(request: Request, site: SiteDependency, model: str, score: str | None = None) -> Response:
    """Every head of the model with its scores."""
    return show_atlas(request, site, model, score)


@pages.get("/{model}", name="atlas")
def show_atlas(request: Request, site: SiteDependency, model: str, score: str | None = None) -> Response:
    with site.session() as session:
        page = atlas_page(site.reading(session, site.live_run(session, model)), score)
    return changing_page(site, request, page, "pages/atlas.html")
