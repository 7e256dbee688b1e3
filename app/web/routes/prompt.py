"""The prompt page: a form for a text, and the model's activations once the model's process has answered."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.domain.refs import FeatureRef, HeadRef, InvalidReference
from app.errors import AppError
from app.extras import missing
from app.services.prompts.models import PromptPage
from app.services.prompts.page import PromptRequest, PromptService, prompt_page
from app.services.prompts.queue import PromptLimits, PromptQueue
from app.settings import Settings
from app.web.dependencies import AppContextDependency, PageNotFound, parse_feature, parse_head
from app.web.responses import NO_STORE, changing_page, redirect_to
from app.web.schema import documents
from app.web.sessions import ViewerDependency, asker_of
from app.web.urls import prompt_url

OFF = "This server does not run texts through the model. To enable it, start it with head-atlas serve --prompts."
NO_EXTRA = (
    "This server has no model libraries, so it cannot run texts. Install its precompute extra: "
    "pip install 'head-atlas[precompute]'."
)
RELOAD_S = "2"

router = APIRouter()
pages = APIRouter(include_in_schema=False)

TextQuery = Annotated[
    str, Query(max_length=10_000, description="The text; the run's context bounds its tokens")
]
NameQuery = Annotated[str, Query(max_length=30, description="The head or feature to look at")]
DestQuery = Annotated[str, Query(max_length=6, description="The token whose sources to show, from 1")]


def make_prompt_service(settings: Settings) -> PromptService:
    """The prompt service, or the reason why there is none. Model libraries are looked up but not imported."""
    if not settings.runs_prompts:
        return PromptService(None, OFF)
    if missing("precompute"):
        return PromptService(None, NO_EXTRA)
    limits = PromptLimits(settings.prompt_seconds, settings.prompt_queue)
    return PromptService(PromptQueue(limits), "", str(settings.cache_dir))


def get_prompt_service(request: Request) -> PromptService:
    return request.app.state.prompt_service


PromptServiceDependency = Annotated[PromptService, Depends(get_prompt_service)]


class StrangeRequest(AppError):
    """A page on another site tried to run a text here unseen by the user."""

    status_code = 403


@router.get(
    "/{model}/prompt.json",
    name="prompt_json",
    responses=documents(PromptPage) | {202: {**documents(PromptPage)[200], "description": "Ask again soon"}},
)
def prompt_json(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    service: PromptServiceDependency,
    model: str,
    text: TextQuery = "",
    at: NameQuery = "",
    head: NameQuery = "",
    feature: NameQuery = "",
    dest: DestQuery = "",
) -> Response:
    """The model's activations on a text. State `waiting` (202) means that the client should ask again."""
    prompt_request = parse_request(text, at, head, feature, dest)
    return _answer(
        request, app_context, service, model, replace(prompt_request, asker=asker_of(request, viewer))
    )


@pages.get("/{model}/prompt", name="prompt")
def show_prompt(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    service: PromptServiceDependency,
    model: str,
    text: TextQuery = "",
    at: NameQuery = "",
    head: NameQuery = "",
    feature: NameQuery = "",
    dest: DestQuery = "",
) -> Response:
    prompt_request = parse_request(text, at, head, feature, dest)
    address = prompt_url(
        model,
        text=prompt_request.text,
        head=prompt_request.head,
        feature=prompt_request.feature,
        dest=prompt_request.dest,
    )
    # A form sends what it has, empty and twice; the address says it once.
    if parse_qsl(request.url.query, True) != parse_qsl(urlsplit(address).query, True):
        return redirect_to(address)
    return _answer(
        request, app_context, service, model, replace(prompt_request, asker=asker_of(request, viewer))
    )


def parse_request(text: str, at: str, head: str, feature: str, dest: str) -> PromptRequest:
    """The request; `at` names a head or a feature and overrides both `head` and `feature`.

    Raises PageNotFound for a text that is not the name of one.
    """
    text = text.replace("\r\n", "\n")
    if at.strip():
        ref = _parse_either(at.strip())
        return PromptRequest(
            text, ref if isinstance(ref, HeadRef) else None, ref if isinstance(ref, FeatureRef) else None
        )
    if dest and not (dest.isascii() and dest.isdecimal()):
        raise PageNotFound("Tokens of a text are numbered from 1, after BOS.")
    return PromptRequest(
        text,
        parse_head(head) if head else None,
        parse_feature(feature) if feature else None,
        int(dest) if dest else None,
    )


def _parse_either(text: str) -> HeadRef | FeatureRef:
    for kind in (HeadRef, FeatureRef):
        try:
            return kind.parse(text)
        except InvalidReference:
            continue
    raise PageNotFound("That names no head and no feature; they look like L5H1 and L5F35744.")


def _answer(
    request: Request,
    app_context: AppContextDependency,
    service: PromptService,
    model: str,
    prompt_request: PromptRequest,
) -> Response:
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and (
        request.headers.get("Sec-Fetch-Dest", "document") != "document"
    ):
        raise StrangeRequest("Another site may link to this page, but not load it unseen.")
    with app_context.open_atlas(model) as context:
        page = prompt_page(context, service, prompt_request)
    response = changing_page(app_context, request, page, "pages/prompt.html")
    if page.state == "waiting":
        response.status_code = 202
    if page.state in ("waiting", "failed"):
        response.headers.update(NO_STORE)
    if page.state == "waiting":
        response.headers["Refresh"] = RELOAD_S
    return response
