"""Logging in and out, and changing the password. In local mode there are no logins."""

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from app.errors import AppError
from app.services.accounts import accounts
from app.services.accounts.page import AccountPage, LoginPage
from app.store.annotators import Annotator
from app.web.dependencies import AppContext, AppContextDependency, PageNotFound
from app.web.error_pages import error_response
from app.web.guards.login_limits import TooManyLogins
from app.web.guards.origins import inside
from app.web.responses import see_other, uncached_page
from app.web.sessions import SessionInStore, ViewerDependency, end_session, forget_session, start_session

router = APIRouter(include_in_schema=False)
logger = logging.getLogger(__name__)

NextQuery = Annotated[str, Query(alias="next", max_length=2000)]
Text = Annotated[str, Form(max_length=2000)]


def _check_team(app_context: AppContext) -> None:
    if not app_context.access.team:
        raise PageNotFound(
            "This server has one local annotator and no logins; start it with --team for those."
        )


def _redirect_inside(address: str) -> Response:
    return see_other(inside(address))


@router.get("/login", name="login")
def show_login(app_context: AppContextDependency, next_page: NextQuery = "/") -> Response:
    _check_team(app_context)
    return uncached_page(app_context, LoginPage(inside(next_page), "", ""), "pages/login.html")


@router.post("/login")
def log_in(
    request: Request,
    app_context: AppContextDependency,
    name: Text = "",
    password: Text = "",
    next_page: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Start a new session, and end the one whose cookie came with the request."""
    _check_team(app_context)
    address = request.client.host if request.client else ""
    try:
        app_context.logins.try_once(name, address)
        with app_context.logins.turn(address):
            annotator = _check_password(app_context, name, password)
    except (TooManyLogins, accounts.WrongLogin) as error:
        wait = {"Retry-After": str(error.wait_s)} if isinstance(error, TooManyLogins) else {}
        page = LoginPage(inside(next_page), name, error.sentence)
        return uncached_page(app_context, page, "pages/login.html", error.status_code, wait)
    app_context.logins.forget(name, address)
    response = _redirect_inside(next_page)
    start_session(request, app_context, annotator, response)
    return response


def _check_password(app_context: AppContext, name: str, password: str) -> Annotator:
    with app_context.session() as session:
        return accounts.log_in(session, name, password)


@router.post("/logout", name="logout")
def log_out(request: Request, app_context: AppContextDependency) -> Response:
    """End the session, and have the browser forget it even where the store could not be told."""
    response = _redirect_inside("/login")
    try:
        end_session(request, app_context)
    except SessionInStore as error:
        logger.warning("session not taken down", extra={"detail": str(error.__cause__)})
        response = error_response(request, error.status_code, error.sentence)
    forget_session(request, response)
    return response


@router.get("/me", name="account")
def show_account(app_context: AppContextDependency, viewer: ViewerDependency) -> Response:
    _check_team(app_context)
    return uncached_page(
        app_context, AccountPage(viewer.name, viewer.role, viewer.blind, ""), "pages/account.html"
    )


@router.post("/me")
def change_password(
    request: Request,
    app_context: AppContextDependency,
    viewer: ViewerDependency,
    password: Text = "",
    new: Text = "",
) -> Response:
    """Set a new password, end every session of the account, and start a new one for this browser."""
    _check_team(app_context)
    address = request.client.host if request.client else ""
    try:
        app_context.logins.try_once(viewer.name, address)
        with app_context.logins.turn(address):
            changed = _set_password(app_context, viewer.name, password, new)
    except AppError as error:
        page = AccountPage(viewer.name, viewer.role, viewer.blind, error.sentence)
        status = 403 if isinstance(error, accounts.WrongLogin) else error.status_code
        return uncached_page(app_context, page, "pages/account.html", status)
    app_context.logins.forget(viewer.name, address)
    response = _redirect_inside("/")
    start_session(request, app_context, changed, response)
    return response


def _set_password(app_context: AppContext, name: str, password: str, new: str) -> Annotator:
    annotator = _check_password(app_context, name, password)
    hashed = accounts.hash_password(new)
    with app_context.write() as session:
        return accounts.set_password(session, annotator, hashed)
