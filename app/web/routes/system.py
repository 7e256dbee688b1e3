"""What is not about an atlas: health, what the numbers are, and the documentation of the JSON versions."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.services.about import AboutPage, about_page
from app.web.dependencies import AppContextDependency
from app.web.responses import NO_STORE, changing_page
from app.web.schema import docs_page, documents

router = APIRouter()


@router.get("/healthz", name="health", include_in_schema=False)
def show_health(app_context: AppContextDependency) -> PlainTextResponse:
    """Says ok when the store answers."""
    with app_context.session() as session:
        app_context.check(session)
    return PlainTextResponse("ok\n", headers=NO_STORE)


@router.get("/docs", name="docs", include_in_schema=False)
def show_docs(request: Request, app_context: AppContextDependency) -> Response:
    """Made of the page dataclasses themselves: works offline, and cannot fall behind them."""
    return changing_page(app_context, request, docs_page(), "pages/docs.html")


@router.get("/about.json", name="about_json", responses=documents(AboutPage))
def about_json(request: Request, app_context: AppContextDependency) -> Response:
    """What each number is, and what the pages cannot show."""
    return changing_page(app_context, request, about_page(), "")


@router.get("/about", name="about", include_in_schema=False)
def show_about(request: Request, app_context: AppContextDependency) -> Response:
    return changing_page(app_context, request, about_page(), "pages/about.html")
