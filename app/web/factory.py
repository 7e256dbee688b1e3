"""The web application: one store behind pages, JSON versions and static files."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app import __version__
from app.errors import InvalidStore
from app.paths import frontend_dir
from app.settings import Settings
from app.store.database.engine import is_read_only
from app.store.opening import open_migrated
from app.web import error_pages
from app.web.dependencies import Access, AppContext
from app.web.guards.body_limits import BodyLimits
from app.web.guards.body_types import FormBodies
from app.web.guards.compression import Compression
from app.web.guards.headers import AllowedHosts, HeadAsGet, SecurityHeaders, host_name
from app.web.guards.login_first import LoginFirst
from app.web.guards.origins import SameOrigin
from app.web.guards.request_log import RequestLog
from app.web.known_answers import AnsweredBefore
from app.web.render import Renderer
from app.web.routes import (
    annotations,
    atlases,
    citations,
    compare,
    embed,
    experiments,
    features,
    heads,
    histories,
    imports,
    login,
    notes,
    prompt,
    publication,
    rollups,
    search,
    sheet,
    system,
)
from app.web.schema import install_openapi
from app.web.scripts import is_own_script, sent_content
from app.web.sessions import LoginNeeded, check_login, may_send_files, require_login

# A name of ours before the names of atlases, JSON versions before the pages whose pattern they fit.
JSON_ROUTES = (
    system,
    login,
    annotations,
    histories,
    notes,
    atlases,
    sheet,
    publication,
    rollups,
    heads,
    features,
    compare,
    search,
    prompt,
    experiments,
)
PAGES = (
    embed,
    experiments,
    annotations,
    histories,
    notes,
    citations,
    atlases,
    sheet,
    publication,
    imports,
    rollups,
    heads,
    features,
    compare,
    search,
    prompt,
)


class VersionedStaticFiles(StaticFiles):
    """Static files: with a version in the URL they are cached for good, without one they are revalidated."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if isinstance(response, FileResponse) and is_own_script(Path(response.path)):
            validators = {name: response.headers[name] for name in ("etag", "last-modified")}
            content = sent_content(Path(response.path))
            response = Response(content, media_type=response.media_type, headers=validators)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        if "etag" in response.headers:
            # Weak: the same file goes out compressed and plain, byte by byte two things.
            response.headers["ETag"] = f"W/{response.headers['etag'].removeprefix('W/')}"
        return response


def _lifespan(app_context: AppContext) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.prompt_service.close()
        app_context.close()

    return lifespan


def _own_name(public_url: str) -> list[str]:
    return [host_name(public_url.partition("://")[2])] if public_url else []


def _open(settings: Settings, access: Access) -> AppContext:
    engine = open_migrated(settings.store, must_exist=True, to_read=True)
    read_only = is_read_only(engine)
    if read_only and settings.team:
        engine.dispose()
        raise InvalidStore("the store is read-only, so nobody can log in; serve it without --team")
    return AppContext(engine, Renderer(frontend_dir(), settings.team, read_only=read_only), access)


def _refusal(request: Request, app_context: AppContext) -> Response | None:
    """The answer to a change that needs a login and comes without; None for any other request."""
    try:
        check_login(request, app_context)
    except LoginNeeded as error:
        return error_pages.on_login_needed(request, error)
    return None


def create_app(settings: Settings, allow_anonymous: bool = False) -> FastAPI:
    """The web application on the store of the settings. Raises InvalidStore if the store cannot be served.

    allow_anonymous: other machines can reach the server, so without team mode everyone reads and no one
    annotates.
    """
    access = Access(
        settings.team, settings.local_annotator, allow_anonymous, settings.public_url, settings.metrics
    )
    app_context = _open(settings, access)
    app = FastAPI(
        title="Head Atlas",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(app_context),
        dependencies=[Depends(require_login, scope="function")],
    )
    app.state.app_context = app_context
    app.state.prompt_service = prompt.make_prompt_service(settings)
    error_pages.install(app)
    app.mount("/static", VersionedStaticFiles(directory=frontend_dir() / "static"), name="static")
    for resource in JSON_ROUTES:
        app.include_router(resource.router)
    for resource in PAGES:
        app.include_router(resource.pages)
    install_openapi(app)
    # The last one added is the outermost. Compression is inside HeadAsGet, so that HEAD tells the size GET would send.
    app.add_middleware(Compression)
    app.add_middleware(AnsweredBefore, source=app_context)
    app.add_middleware(HeadAsGet)
    # What reads a whole form is inside the limits, so that nothing beyond them is kept in memory.
    app.add_middleware(FormBodies)
    app.add_middleware(LoginFirst, refusal=lambda scope: _refusal(Request(scope), app_context))
    app.add_middleware(BodyLimits, may_send_files=lambda scope: may_send_files(Request(scope), app_context))
    app.add_middleware(SameOrigin, public_url=settings.public_url)
    app.add_middleware(AllowedHosts, hosts=(*settings.allowed_hosts, *_own_name(settings.public_url)))
    app.add_middleware(SecurityHeaders, frame_ancestors=settings.frame_ancestors)
    app.add_middleware(RequestLog, metrics=app_context.metrics)
    return app
