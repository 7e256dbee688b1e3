"""What is not about an atlas: health, and the documentation of the JSON twins."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.web.answers import changing_page
from app.web.dependencies import SiteDependency
from app.web.schema import docs_page

router = APIRouter(include_in_schema=False)


@router.get("/healthz", name="health")
def show_health(site: SiteDependency) -> PlainTextResponse:
    """Says ok when the store answers."""
    with site.session() as session:
        site.check(session)
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


@router.get("/docs", name="docs")
def show_docs(request: Request, site: SiteDependency) -> Response:
    """Made of the page dataclasses themselves: works offline, and cannot fall behind them."""
    return changing_page(site, request, docs_page(), "pages/docs.html")
