"""Who is looking: the one local annotator, or in team mode whoever is logged in; and what their login may do."""

import threading
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from app.errors import AppError
from app.services.reading.visibility import Viewer
from app.store.annotators import (
    Annotator,
    close_session,
    ensure_annotator,
    find_annotator,
    open_session,
    session_annotator,
)
from app.web.dependencies import AppContext, SiteDependency
from app.web.guards.origins import SESSION_COOKIES

LIFETIME = timedelta(days=14)
# What team mode answers without a login; static files and the schema hold nothing of a store.
OPEN_PATHS = ("/login", "/healthz")
# Whoever reaches an open server without logins: reads, and has no record.
STRANGER = Viewer(0, "", "viewer")
_FIRST_USE = threading.Lock()


class LoginNeeded(AppError):
    """Team mode, and no session, or one that has ended."""

    status_code = 401


def get_viewer(request: Request, site: SiteDependency) -> Viewer:
    """Raises LoginNeeded in team mode. In local mode the annotator is made with the first change."""
    known = getattr(request.state, "viewer", None)
    if known is None:
        known = request.state.viewer = _find_viewer(request, site)
    return known


def _find_viewer(request: Request, site: AppContext) -> Viewer:
    if site.people.team:
        return _logged_in(request, site)
    if site.people.strangers:
        return STRANGER
    with site.session() as session:
        found = find_annotator(session, site.people.local)
    if found is None and request.method in ("GET", "HEAD"):
        return Viewer(0, site.people.local, "admin")
    if found is None:
        with _FIRST_USE, site.write() as session:
            found = ensure_annotator(session, site.people.local, site.now(), "admin")
    return Viewer.of(found)


def _logged_in(request: Request, site: AppContext) -> Viewer:
    token = session_token(request)
    if token is not None:
        with site.session() as session:
            found = session_annotator(session, token, site.now())
        if found is not None:
            return Viewer.of(found)
    raise LoginNeeded("Log in to see this atlas; your login is missing or has ended.")


ViewerDependency = Annotated[Viewer, Depends(get_viewer)]


def require_login(request: Request, site: SiteDependency) -> None:
    """Of every route: in team mode nothing is shown without a login, for a page may hold others' labels."""
    if site.people.team and request.url.path not in OPEN_PATHS:
        get_viewer(request, site)


def session_token(request: Request) -> str | None:
    return next((request.cookies[name] for name in SESSION_COOKIES if name in request.cookies), None)


def start_session(request: Request, site: AppContext, annotator: Annotator, response: Response) -> None:
    """A new token, whatever cookie came in; the session of that one ends."""
    old = session_token(request)
    with site.write() as session:
        if old is not None:
            close_session(session, old)
        token = open_session(session, annotator, site.now(), LIFETIME)
    plain, https = SESSION_COOKIES
    secure = is_https(request, site)
    response.set_cookie(
        https if secure else plain,
        token,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def end_session(request: Request, site: AppContext, response: Response) -> None:
    """The token is worthless from now on, wherever a copy of it is."""
    token = session_token(request)
    if token is not None:
        with site.write() as session:
            close_session(session, token)
    for name in SESSION_COOKIES:
        if name in request.cookies:
            response.delete_cookie(name, httponly=True, samesite="lax", secure=name.startswith("__Host-"))


def is_https(request: Request, site: AppContext) -> bool:
    """By the address that people use, where a proxy speaks https for this server."""
    return (site.people.public_url or str(request.base_url)).startswith("https:")
