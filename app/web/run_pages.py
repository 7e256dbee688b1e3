"""Responses that depend on the live run and on annotations: pages that are kept in memory, and files."""

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response

from app.errors import AppError
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER, Viewer
from app.services.sheet.files import Export
from app.web.dependencies import AppContext
from app.web.forms.downloads import download
from app.web.guards.compression import accepts_gzip
from app.web.known_answers import Version, version_of
from app.web.page_cache import KeptPage, Place, State, tag_of
from app.web.recent_pages import Reader
from app.web.render import Page
from app.web.responses import caching, draw, holds, wants_json
from app.web.sessions import account_of

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
    place, pages = Place(template, _address(request), viewer.name), app_context.pages
    asked = _Asked(app_context, request, model, viewer, place)

    def holding(part: object) -> KeptPage | None:
        if kept is None or kept.state.run != state.run or kept.part != _digest(part):
            return None
        return pages.keep(place, kept._replace(state=state, version=asked.version))

    if changing and changing.now:
        _look_at_recent_pages(asked)
    with pages.turn(place, is_quick=changing is not None):
        with app_context.open_atlas(model, viewer) as context:
            state, kept = _state(app_context, context, also(context)), pages.get(place)
            if kept is not None and kept.state == state:
                return asked.answer(pages.keep(place, kept._replace(version=asked.version)))
            part = None
            if changing and changing.now and kept and kept.state.run == state.run:
                part = changing.now(context)
                if held := holding(part):
                    return asked.answer(held)
            around = changing.around if changing and part is not None else None
            page = around(context, part) if around else build(context)
        part, look = (changing.of_page(page), changing.now) if changing else (None, None)
        if changing and (held := holding(part)):
            return asked.answer(held)
        content = draw(app_context, request, page, template).encode("utf-8", "replace")
        return asked.answer(
            pages.keep(place, KeptPage.of(content, state, _digest(part), asked.version, look))
        )


@dataclass(frozen=True)
class _Asked:
    """A request for the page of a place."""

    app_context: AppContext
    request: Request
    model: str
    viewer: Viewer
    place: Place

    @property
    def reader(self) -> Reader:
        return Reader(self.model, self.viewer.without_id)

    @property
    def version(self) -> Version | None:
        return version_of(self.request)

    def answer(self, page: KeptPage) -> Response:
        """The page as a response, which is repeated while the page is in memory and known to hold."""
        # What is kept must hold neither the request nor the page, which are larger than the rest.
        context, reader, place, tag, run = self.app_context, self.reader, self.place, page.tag, page.state.run
        account, is_json = account_of(self.request, context), wants_json(self.request)
        let_in = context.viewers.let_in(account, self.version)

        def repeated(headers: Headers) -> Response | None:
            kept = context.pages.get(place)
            if kept is None or kept.tag != tag:
                return None
            context.recent_pages.asked(reader, place, kept)
            return _response(headers, kept, is_json)

        def still(version: Version) -> bool:
            kept = context.pages.get(place)
            holds_now = kept is not None and (kept.version, kept.state.run) == (version, run)
            return holds_now and let_in is not None and context.viewers.let_in(account, version) == let_in

        context.answers.keep(self.request, repeated, still)
        context.recent_pages.asked(reader, place, page)
        return _response(self.request.headers, page, is_json)


def _look_at_recent_pages(asked: _Asked) -> None:
    """After a save, look at the other pages that the reader asked for lately, and renew those that hold.

    The records are read once for all of them, and later requests for them are answered without a look.
    """
    app_context, pages, version = asked.app_context, asked.app_context.pages, asked.version
    if version is None:
        return
    with app_context.recent_pages.to_look_at(asked.reader, version) as places:
        others = {place: page for place in places if place != asked.place and (page := pages.get(place))}
        if not others:
            return
        turn = pages.quick_turn(asked.viewer.name)
        with turn, app_context.open_atlas(asked.model, asked.viewer) as context:
            state = _state(app_context, context)
            for place, page in others.items():
                if page.state.run == state.run and (page.state == state or _holds(page, context)):
                    pages.keep(place, page._replace(state=state, version=version))


def _holds(page: KeptPage, context: AtlasContext) -> bool:
    try:
        return page.look is not None and page.part == _digest(page.look(context))
    except AppError:  # which whoever asks for the page will be told
        return False


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
        tag = tag_of(repr((_state(app_context, context), _address(request))).encode())
        if holds(request.headers, tag):
            return Response(status_code=304, headers=caching(tag))
        file = build(context)
    return download(file.data, file.file_name, file_format, caching(tag))


def _state(app_context: AppContext, context: AtlasContext, also: str = "") -> State:
    """All that a page of the run depends on but its address: templates, run, viewer and `also`; and the annotations."""
    run, viewer = context.run, context.viewer
    # Ids of people are in the other part.
    of_run = (
        *(app_context.renderer.build, run.slug, run.record.fingerprint),
        run.experiments,
        viewer.without_id,
        also,
    )
    return State(_digest(of_run), "" if viewer == NO_VIEWER else repr(context.annotation_state))


def _address(request: Request) -> str:
    """The request's path and query, without the name by which the server was called."""
    return f"{request.url.path}?{request.url.query}"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()


def _response(headers: Headers, page: KeptPage, is_json: bool) -> Response:
    """The page for a request with these headers: not again to who has it, unpacked for who does not accept gzip."""
    sent = {**caching(page.tag), "Vary": "HX-Request, Accept-Encoding"}
    media_type = "application/json" if is_json else "text/html"
    if holds(headers, page.tag):
        return Response(status_code=304, headers=sent)
    if not accepts_gzip(headers):
        return Response(gzip.decompress(page.compressed), media_type=media_type, headers=sent)
    return Response(page.compressed, media_type=media_type, headers={**sent, "Content-Encoding": "gzip"})
