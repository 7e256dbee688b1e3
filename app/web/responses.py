"""Responses made from page dataclasses: HTML, htmx fragments, JSON, redirects, and their caching headers."""

import json
from collections.abc import Callable

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.errors import AppError
from app.services.reading.context import AtlasContext
from app.services.reading.page_json import page_json
from app.services.reading.visibility import NO_VIEWER, Viewer
from app.web.dependencies import AppContext
from app.web.page_cache import tag_of
from app.web.render import Page

NO_STORE = {"Cache-Control": "no-store"}
PAGE_CACHING = "private, no-cache"  # keep it, but ask each time whether it still holds


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a fragment; on a history restore it needs the whole page."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"


def wants_json(request: Request) -> bool:
    return request.url.path.endswith(".json")


def holds(headers: Headers, tag: str) -> bool:
    """Whether the browser's cache has this version (If-None-Match)."""
    tags = [part.strip() for part in headers.get("If-None-Match", "").split(",")]
    return "*" in tags or tag in tags


def caching(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": PAGE_CACHING, "Vary": "HX-Request"}


def json_text(page: Page) -> str:
    """The page as strict JSON.

    Raises an error here if a value has no JSON form, rather than failing at the client.
    """
    return page_json(page).decode()


def draw(app_context: AppContext, request: Request, page: Page, template: str) -> str:
    return json_text(page) if wants_json(request) else app_context.renderer.html(template, page)


def _respond(request: Request, content: str, headers: dict[str, str]) -> Response:
    if wants_json(request):
        return Response(content.encode("utf-8", "replace"), media_type="application/json", headers=headers)
    return HTMLResponse(content.encode("utf-8", "replace"), headers=headers)


def fragment(
    app_context: AppContext,
    model: str,
    build: Callable[[AtlasContext], Page],
    template: str,
    viewer: Viewer = NO_VIEWER,
) -> Response:
    """A fragment of a page.

    It is not cached, because going back would show it without the rest of the page.
    """
    with app_context.open_atlas(model, viewer) as context:
        page = build(context)
    headers = {**NO_STORE, "Vary": "HX-Request"}
    return HTMLResponse(app_context.renderer.html(template, page), headers=headers)


def changing_page(app_context: AppContext, request: Request, page: Page, template: str) -> Response:
    """A page that can change while the run does not, such as one with jobs; its ETag is a hash of it."""
    content = draw(app_context, request, page, template)
    tag = tag_of(content.encode("utf-8", "replace"))
    if holds(request.headers, tag):
        return Response(status_code=304, headers=caching(tag))
    return _respond(request, content, caching(tag))


def uncached_page(
    app_context: AppContext,
    page: Page,
    template: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """A page that must not be cached, such as a form and its response."""
    content = app_context.renderer.html(template, page).encode("utf-8", "replace")
    return HTMLResponse(content, status, {**NO_STORE, "Vary": "HX-Request", **(headers or {})})


def redirect(request: Request, path: str, status_code: int = 308) -> RedirectResponse:
    """Redirect to a path on this server, keeping the query string; the Host header is not used."""
    query = request.url.query
    return RedirectResponse(f"{path}?{query}" if query else path, status_code)


def redirect_to(address: str) -> RedirectResponse:
    """Redirect to a URL of this server (307); the redirect is not cached."""
    return RedirectResponse(address, 307, NO_STORE)


def see_other(address: str) -> RedirectResponse:
    """Redirect after a form was submitted, to a page that is fetched with GET."""
    return RedirectResponse(address, 303, NO_STORE)


def script_response(value: object, status: int = 200) -> Response:
    """A JSON response for the page's own script, which must not be cached."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return Response(text, status, NO_STORE, "application/json")


def refusal(error: AppError) -> str:
    """The message above a form that was not saved."""
    return f"Not saved: {error}."
