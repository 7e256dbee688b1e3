"""Login sessions, and the viewer of a request: the local annotator, or the logged-in account in team mode."""

import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.errors import AppError, InvalidStore
from app.services.reading.visibility import WORK_ORDERS, Viewer, WorkOrder
from app.store.annotators import (
    Annotator,
    end_login,
    ensure_annotator,
    find_annotator,
    find_login,
    start_login,
)
from app.web.dependencies import AppContext, AppContextDependency, parse_head
from app.web.guards.origins import SESSION_COOKIES
from app.web.urls import atlas_url

LIFETIME = timedelta(days=14)
# What team mode answers without a login; static files and the schema hold nothing of a store.
OPEN_PATHS = ("/login", "/healthz", "/readyz", "/metrics")
# Reaches an open server without logins, or a store that cannot be written: reads, and has no record.
ANONYMOUS = Viewer(0, "", "viewer")
ORDER_COOKIE = "order_of_work"
AGAIN_COOKIE = "second_looks"  # of one atlas, by its path
_FIRST_USE = threading.Lock()


class LoginNeeded(AppError):
    """Team mode requires a login, and the request has no valid session."""

    status_code = 401


class SessionInStore(AppError):
    """A session has ended, and the store could not be told so."""

    def __init__(self, cause: AppError) -> None:
        self.status_code = 503 if isinstance(cause, InvalidStore) else cause.status_code
        super().__init__(
            f"You are logged out, but the store could not be told: {cause}. If the server is restarted before it can "
            f"be written again, a copy of your cookie is valid once more, until {LIFETIME.days} days after the login"
        )


def get_viewer(request: Request, app_context: AppContextDependency) -> Viewer:
    """The viewer of the request. Raises LoginNeeded in team mode.

    In local mode the annotator is created with the first change.
    """
    viewer = _known_viewer(request, app_context)
    if viewer is None:
        found = _find_viewer(request, app_context)
        app_context.viewers.keep(request, account_of(request, app_context), found)
        viewer = request.state.viewer = _in_order(request, found)
    return viewer


async def viewer_of(request: Request, app_context: AppContext) -> Viewer:
    """The viewer of the request, in a thread only where the store has to be asked. Raises as get_viewer does."""
    known = _known_viewer(request, app_context)
    return await run_in_threadpool(get_viewer, request, app_context) if known is None else known


def _known_viewer(request: Request, app_context: AppContext) -> Viewer | None:
    """The viewer, if this request has asked already, or another of the same account since the last change."""
    viewer = getattr(request.state, "viewer", None)
    if viewer is None:
        found = app_context.viewers.get(request, account_of(request, app_context), app_context.now())
        viewer = request.state.viewer = None if found is None else _in_order(request, found)
    return viewer


def account_of(request: Request, app_context: AppContext) -> str:
    """What tells one viewer from another: the token of their session, in team mode."""
    return (session_token(request, app_context) or "") if app_context.access.team else ""


def asker_of(request: Request, viewer: Viewer) -> str:
    """The account of a request, or the address it came from where nobody has an account."""
    return str(viewer.annotator_id or (request.client.host if request.client else ""))


def _in_order(request: Request, viewer: Viewer) -> Viewer:
    """The viewer with the order of work that their browser remembers; an unknown text sets none."""
    cookie = request.cookies.get(ORDER_COOKIE)
    order = next((name for name in WORK_ORDERS if name == cookie), viewer.order)
    again = request.cookies.get(AGAIN_COOKIE) == "yes"
    return replace(viewer, order=order, again=again) if viewer.may_write else viewer


def remember_order(request: Request, app_context: AppContext, order: WorkOrder, response: Response) -> None:
    """Have the browser keep the order of work."""
    response.set_cookie(
        ORDER_COOKIE,
        order,
        max_age=365 * 24 * 3600,
        httponly=True,
        samesite="lax",
        secure=is_https(request, app_context),
    )


def remember_second_looks(
    request: Request, app_context: AppContext, model: str, again: bool, response: Response
) -> None:
    """Have the browser keep, for this atlas, whether a tenth of the submitted heads comes a second time."""
    response.set_cookie(
        AGAIN_COOKIE,
        "yes" if again else "no",
        max_age=365 * 24 * 3600,
        path=atlas_url(model),
        httponly=True,
        samesite="lax",
        secure=is_https(request, app_context),
    )


def _find_viewer(request: Request, app_context: AppContext) -> Viewer:
    if app_context.access.team:
        return _logged_in(request, app_context)
    if app_context.access.allow_anonymous or app_context.read_only:
        return ANONYMOUS
    with app_context.session() as session:
        annotator = find_annotator(session, app_context.access.local)
    if annotator is None and request.method in ("GET", "HEAD"):
        return Viewer(0, app_context.access.local, "admin")
    if annotator is None:
        with _FIRST_USE, app_context.write() as session:
            annotator = ensure_annotator(session, app_context.access.local, app_context.now(), "admin")
    return Viewer.of(annotator)


def _logged_in(request: Request, app_context: AppContext) -> Viewer:
    token = session_token(request, app_context)
    if token is not None and token not in app_context.ended:
        with app_context.session() as session:
            login = find_login(session, token, app_context.now())
        if login is not None:
            request.state.login_ends = login.expires_at
            return Viewer.of(login.annotator)
    raise LoginNeeded("Log in to see this atlas; your login is missing or has ended.")


def may_send_files(request: Request, app_context: AppContext) -> bool:
    """Whether the viewer may write, and so may send a file; True if the store cannot be asked."""
    try:
        return get_viewer(request, app_context).may_write
    except LoginNeeded:
        return False
    except AppError:
        return True


def check_login(request: Request, app_context: AppContext) -> None:
    """Raise LoginNeeded where the request needs a login and has none. Passes if the store cannot be asked."""
    if app_context.access.team and request.scope["path"] not in OPEN_PATHS:
        try:
            get_viewer(request, app_context)
        except LoginNeeded:
            raise
        except AppError:
            return


LookQuery = Annotated[
    str | None,
    Query(
        max_length=30,
        description="A head that the viewer looks at for the second time: nothing that was said of it is shown",
    ),
]


async def get_viewer_in_look(
    request: Request, app_context: AppContextDependency, look: LookQuery = None
) -> Viewer:
    """The viewer of the request, in a second look at the head that its address names.

    Raises LoginNeeded in team mode, and PageNotFound for what is not a head.
    """
    viewer = await viewer_of(request, app_context)
    return replace(viewer, second_look=parse_head(look)) if look and viewer.may_write else viewer


ViewerDependency = Annotated[Viewer, Depends(get_viewer_in_look)]


async def require_login(request: Request, app_context: AppContextDependency) -> AsyncGenerator[None]:
    """Dependency of every route: in team mode pages need a login, because they may show others' labels.

    It holds a share of the account until the answer is made.
    """
    if not app_context.access.team or request.scope["path"] in OPEN_PATHS:
        yield
        return
    viewer = await viewer_of(request, app_context)
    async with app_context.shares.share(viewer.annotator_id):
        yield


def cookie_name(request: Request, app_context: AppContext) -> str:
    """The name of the session's cookie under the request's scheme.

    Under https only the name with the `__Host-` prefix counts: another host of the domain can set the plain cookie, but
    never the prefixed one.
    """
    plain, https = SESSION_COOKIES
    return https if is_https(request, app_context) else plain


def session_token(request: Request, app_context: AppContext) -> str | None:
    return request.cookies.get(cookie_name(request, app_context))


def start_session(
    request: Request, app_context: AppContext, annotator: Annotator, response: Response
) -> None:
    """Start a session with a new token, and end the session of the cookie that was sent along."""
    old = session_token(request, app_context)
    with app_context.write() as session:
        if old is not None:
            end_login(session, old)
        token = start_login(session, annotator, app_context.now(), LIFETIME)
    response.set_cookie(
        cookie_name(request, app_context),
        token,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_https(request, app_context),
    )


def end_session(request: Request, app_context: AppContext) -> None:
    """End the session of the request's cookie, so that copies of its token are worthless too.

    Raises SessionInStore where the store could not be written: then it ends in this server alone, which takes it down
    with its next change.
    """
    token = session_token(request, app_context)
    if token is None:
        return
    if app_context.access.team:  # and the token is a valid one: others are not let in to here
        app_context.ended.add(token)
    try:
        with app_context.write() as session:
            end_login(session, token)
    except AppError as error:
        raise SessionInStore(error) from error


def forget_session(request: Request, response: Response) -> None:
    """Have the browser drop the cookie of its session."""
    for name in SESSION_COOKIES:
        if name in request.cookies:
            response.delete_cookie(name, httponly=True, samesite="lax", secure=name.startswith("__Host-"))


def is_https(request: Request, app_context: AppContext) -> bool:
    """Whether people reach the server by https, directly or through a proxy."""
    return (app_context.access.public_url or str(request.base_url)).startswith("https:")
