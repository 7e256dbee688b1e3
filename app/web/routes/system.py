"""Routes that belong to no atlas: health, explanations of the numbers, and documentation of the JSON."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from app.services.about import AboutPage, about_page
from app.web.dependencies import AppContextDependency, PageNotFound
from app.web.metrics import MEDIA_TYPE
from app.web.responses import NO_STORE, changing_page
from app.web.schema import docs_page, documents

router = APIRouter()


@router.get("/healthz", name="health", include_in_schema=False)
def show_health(app_context: AppContextDependency) -> PlainTextResponse:
    """Respond with ok if the store answers."""
    with app_context.session() as session:
        app_context.check(session)
    return PlainTextResponse("ok\n", headers=NO_STORE)


@router.get("/readyz", name="ready", include_in_schema=False)
def show_readiness(app_context: AppContextDependency) -> PlainTextResponse:
    """Respond with ready if requests can be served: the store answers, and is of this version."""
    app_context.check_ready()
    return PlainTextResponse("ready\n", headers=NO_STORE)


@router.get("/metrics", name="metrics", include_in_schema=False)
def show_metrics(app_context: AppContextDependency) -> Response:
    """Counts of requests in the text format of Prometheus, where the settings ask for it."""
    if not app_context.access.metrics:
        raise PageNotFound("This server has its metrics turned off; HEAD_ATLAS_METRICS=true turns them on.")
    return Response(app_context.metrics.text(), media_type=MEDIA_TYPE, headers=NO_STORE)


@router.get("/docs", name="docs", include_in_schema=False)
def show_docs(request: Request, app_context: AppContextDependency) -> Response:
    """The documentation of the JSON, generated from the page dataclasses; it needs no network."""
    return changing_page(app_context, request, docs_page(), "pages/docs.html")


@router.get("/about.json", name="about_json", responses=documents(AboutPage))
def about_json(request: Request, app_context: AppContextDependency) -> Response:
    """Explanations of each number, and the limitations of the pages."""
    return changing_page(app_context, request, about_page(), "")


@router.get("/about", name="about", include_in_schema=False)
def show_about(request: Request, app_context: AppContextDependency) -> Response:
    return changing_page(app_context, request, about_page(), "pages/about.html")
