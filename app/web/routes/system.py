"""What is not about an atlas: health, what the numbers are, and the documentation of the JSON twins."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.services.about import AboutPage, about_page
from app.web.dependencies import SiteDependency
from app.web.responses import changing_page
from app.web.schema import docs_page, documents

router = APIRouter()


@router.get("/healthz", name="health", include_in_schema=False)
def show_health(site: SiteDependency) -> PlainTextResponse:
    """Says ok when the store answers."""
    with site.session() as session:
        site.check(session)
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


@router.get("/docs", name="docs", include_in_schema=False)
def show_docs(request: Request, site: SiteDependency) -> Response:
    """Made of the page dataclasses themselves: works offline, and cannot fall behind them."""
    return changing_page(site, request, docs_page(), "pages/docs.html")


@router.get("/about.json", name="about_json", responses=documents(AboutPage))
def about_twin(request: Request, site: SiteDependency) -> Response:
    """What each number is, and what the pages cannot show."""
    return changing_page(site, request, about_page(), "")


@router.get("/about", name="about", include_in_schema=False)
def show_about(request: Request, site: SiteDependency) -> Response:
    return changing_page(site, request, about_page(), "pages/about.html")
