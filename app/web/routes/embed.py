"""Pages of heads and features to embed in notebooks, without navigation."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.services.features.page import feature_page
from app.services.heads.page import HeadQuestion, head_page
from app.web.dependencies import AppContextDependency, parse_feature, parse_head, parse_through
from app.web.forms.head_query import CountQuery, RankQuery
from app.web.routes.features import HeadQuery
from app.web.run_pages import run_page

pages = APIRouter(prefix="/embed", include_in_schema=False)


@pages.get("/{model}/heads/{head}", name="embedded_head")
def show_head(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    head: str,
    rank: RankQuery = "decoder_weight",
    k: CountQuery = 10,
) -> Response:
    question = HeadQuestion(parse_head(head), rank, k)
    return run_page(
        app_context, request, model, lambda context: head_page(context, question), "embed/head.html"
    )


@pages.get("/{model}/features/{feature}", name="embedded_feature")
def show_feature(
    request: Request, app_context: AppContextDependency, model: str, feature: str, head: HeadQuery = None
) -> Response:
    ref = parse_feature(feature)
    through = None if head is None else parse_through(head)
    return run_page(
        app_context,
        request,
        model,
        lambda context: feature_page(context, ref, through),
        "embed/feature.html",
    )
