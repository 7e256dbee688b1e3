"""The page of one head."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.domain.refs import HeadRef
from app.services.heads.annotated import annotated_head, annotated_row, annotation_panel
from app.services.heads.attention import AttentionQuestion, attention_page
from app.services.heads.attention_models import AttentionPage
from app.services.heads.models import HeadPage
from app.services.heads.page import HeadQuestion, head_page
from app.services.reading.context import AtlasContext
from app.web.dependencies import AppContextDependency, parse_head
from app.web.forms.head_query import CountQuery, HeadQueryDependency, RankQuery
from app.web.responses import fragment, is_fragment, redirect
from app.web.run_pages import Changing, run_page
from app.web.schema import documents
from app.web.sessions import ViewerDependency
from app.web.urls import attention_url, head_url

router = APIRouter()
pages = APIRouter(include_in_schema=False)


@router.get("/{model}/heads/{head}.json", name="head_json", responses=documents(HeadPage))
def head_json(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    head: str,
    rank: RankQuery = "decoder_weight",
    k: CountQuery = 10,
) -> Response:
    """One head: its scores, and its top features with their examples."""
    ref = parse_head(head)
    if str(ref) != head:
        return redirect(request, f"{head_url(model, ref)}.json")
    question = HeadQuestion(ref, rank, k)
    return run_page(app_context, request, model, lambda context: head_page(context, question), "")


@pages.get("/{model}/heads/{head}", name="head")
def show_head(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    model: str,
    head: str,
    query: HeadQueryDependency,
) -> Response:
    """The head's page, or for htmx the one row to open."""
    ref = parse_head(head)
    if str(ref) != head:
        return redirect(request, head_url(model, ref))
    question = query.question(ref)
    if question.open_feature is not None and is_fragment(request):
        template = "partials/feature_row.html"
        return fragment(
            app_context, model, lambda context: annotated_row(context, question), template, viewer
        )
    changing = Changing[HeadPage](
        lambda page: page.annotation,
        lambda context: annotation_panel(context, question),
        lambda context, panel: replace(head_page(context, question), annotation=panel),
    )
    return run_page(
        app_context,
        request,
        model,
        lambda context: annotated_head(context, question),
        "pages/head.html",
        viewer,
        changing=changing,
    )


GroupQuery = Annotated[int, Query(ge=0, le=20, description="Which group of examples, from 0")]
ExampleQuery = Annotated[int, Query(ge=0, le=50, description="Whose attention pattern, from 0")]


@router.get("/{model}/heads/{head}/attention.json", name="attention_json", responses=documents(AttentionPage))
def attention_json(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    head: str,
    group: GroupQuery = 0,
    example: ExampleQuery = 0,
) -> Response:
    """What one head attends to: sinks, examples, tokens, distances, and one attention pattern."""
    ref = parse_head(head)
    if str(ref) != head:
        return redirect(request, f"{attention_url(model, ref)}.json")
    question = AttentionQuestion(ref, group, example)
    return run_page(app_context, request, model, lambda context: attention_page(context, question), "")


@pages.get("/{model}/heads/{head}/attention", name="attention")
def show_attention(
    request: Request,
    app_context: AppContextDependency,
    model: str,
    head: str,
    group: GroupQuery = 0,
    example: ExampleQuery = 0,
) -> Response:
    """The page of what the head attends to, or for htmx the part to put into the head's page."""
    ref = parse_head(head)
    if str(ref) != head:
        return redirect(request, attention_url(model, ref))
    question = AttentionQuestion(ref, group, example)

    def build(context: AtlasContext) -> AttentionPage:
        return attention_page(context, question)

    if is_fragment(request):
        return fragment(app_context, model, build, "partials/attention.html")
    return run_page(app_context, request, model, build, "pages/attention.html")


@pages.get("/{model}/heads/{layer}/{head}")
@pages.get("/{model}/head/{layer}/{head}")
def other_spelling(request: Request, model: str, layer: str, head: str) -> Response:
    """Redirect from URLs in the style of other tools to the canonical URL."""
    ref: HeadRef = parse_head(f"{layer}/{head}")
    return redirect(request, head_url(model, ref))
