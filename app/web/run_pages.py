"""Responses that depend on the live run and on annotations: pages that are kept in memory, and files."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response

from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER, Viewer
from app.services.sheet.files import Export
from app.web.dependencies import AppContext
from app.web.forms.downloads import download
from app.web.guards.compression import accepts_gzip
from app.web.page_cache import KeptPage, Place, State, tag_of
from app.web.render import Page
from app.web.responses import caching, draw, holds, wants_json

P = TypeVar("P", bound=Page)


@dataclass(frozen=True)
class Changing(Generic[P]):
    """The part of a page that saves can change. All else of the page must stay as it is while the run does.

    of_page: the part of a page that was built. now: the part as it is now, where that is less work than the page.
    around: the page with that part, where it need not be made again.
    """

    of_page: Callable[[P], object]
    now: Callable[[AtlasContext], Any] | None = None
    around: Callable[[AtlasContext, Any], P] | None = None


def run_page(
    app_context: AppContext,
    request: Request,
    model: str,
    build: Callable[[AtlasContext], P],
    template: str,
    viewer: Viewer = NO_VIEWER,
    also: Callable[[AtlasContext], str] = lambda _: "",
    changing: Changing[P] | None = None,
) -> Response:
    """A page or its JSON that depends on the live run and, with a viewer, on the annotations they may see.

    Pages that show annotations must pass the viewer, or browsers and the cache would show pages that are out of
    date. also: a text that changes with whatever else the page shows. changing: for pages that most saves leave as
    they are, by which one in memory is known to hold still.
    """
    pages, place = app_context.pages, Place(template, _address(request), viewer.name)

    def holding(part: object) -> KeptPage | None:
        if kept is None or kept.state.run != state.run or kept.part != _digest(repr(part)):
            return None
        return pages.renew(place, kept, state)

    with pages.turn(place, is_quick=changing is not None):
        with app_context.open_atlas(model, viewer) as context:
            state, kept = _state(app_context, request, context, also(context)), pages.get(place)
            if kept is not None and kept.state == state:
                return _answer(app_context, request, place, kept)
            part = None
            if changing and changing.now and kept and kept.state.run == state.run:
                part = changing.now(context)
                if held := holding(part):
                    return _answer(app_context, request, place, held)
            around = changing.around if changing and part is not None else None
            page = around(context, part) if around else build(context)
        part = changing.of_page(page) if changing else None
        if changing and (held := holding(part)):
            return _answer(app_context, request, place, held)
        content = draw(app_context, request, page, template).encode("utf-8", "replace")
        return _answer(app_context, request, place, pages.add(place, state, _digest(repr(part)), content))


def run_file(
    app_context: AppContext,
    request: Request,
    model: str,
    build: Callable[[AtlasContext], Export],
    file_format: str,
    viewer: Viewer,
) -> Response:
    """A file to download that depends on the live run and on the annotations that the viewer may see."""
    with app_context.open_atlas(model, viewer) as context:
        tag = tag_of(repr(_state(app_context, request, context)).encode())
        if holds(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        file = build(context)
    return download(file.data, file.file_name, file_format, caching(tag))


def _state(app_context: AppContext, request: Request, context: AtlasContext, also: str = "") -> State:
    """All that a page of the run depends on: templates, run, URL, viewer and `also`; and the annotations."""
    run, viewer = context.run, context.viewer
    parts = (app_context.renderer.build, run.slug, run.record.fingerprint, run.experiments)
    # The viewer's id is 0 before their first save, which changes no page by that; all ids are in the other part.
    seeing = repr(replace(viewer, annotator_id=0))
    of_run = "\n".join((*parts, _address(request), seeing, also))
    return State(_digest(of_run), "" if viewer == NO_VIEWER else repr(context.annotation_state))


def _address(request: Request) -> str:
    """The request's path and query, without the name by which the server was called."""
    return f"{request.url.path}?{request.url.query}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _answer(app_context: AppContext, request: Request, place: Place, page: KeptPage) -> Response:
    """The response for a page, which is repeated while nothing is written and the page is in memory."""
    is_json = wants_json(request)

    def repeated(headers: Headers) -> Response | None:
        kept = app_context.pages.get(place)
        return _response(headers, kept, is_json) if kept is not None and kept.tag == page.tag else None

    app_context.answers.keep(request, repeated)
    return _response(request.headers, page, is_json)


def _response(headers: Headers, page: KeptPage, is_json: bool) -> Response:
    """The page for a request with these headers: not again to who has it, unpacked for who does not accept gzip."""
    sent = {**caching(page.tag), "Vary": "HX-Request, Accept-Encoding"}
    media_type = "application/json" if is_json else "text/html"
    if holds(headers, page.tag):
        return Response(status_code=304, headers=sent)
    if not accepts_gzip(headers):
        return Response(gzip.decompress(page.compressed), media_type=media_type, headers=sent)
    return Response(page.compressed, media_type=media_type, headers={**sent, "Content-Encoding": "gzip"})
