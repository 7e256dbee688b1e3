"""Error responses: a page in the layout, a fragment for htmx, or problem+json for JSON requests."""

import json
import logging
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response

from app.errors import AppError, InvalidStore
from app.services.examples.through_head import SumNotStored
from app.web.dependencies import PageNotFound, app_context_of
from app.web.error_models import ErrorPage
from app.web.guards.headers import SECURITY_HEADERS
from app.web.guards.request_log import HEADER
from app.web.responses import NO_STORE, is_fragment, see_other, wants_json
from app.web.sessions import LoginNeeded

logger = logging.getLogger(__name__)

MESSAGES = {
    404: "There is no page at this address.",
    405: "This page can only be read.",
    413: "The request is larger than this page accepts, so nothing was saved.",
    422: "This page cannot read part of its address: {fields}.",
    500: "The server made a mistake. It has been logged; trying again may not help.",
}


def error_response(
    request: Request, status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    title = HTTPStatus(status).phrase
    headers = {**NO_STORE, "Vary": "HX-Request", **(headers or {})}
    if wants_json(request):
        problem = {"type": "about:blank", "title": title, "status": status, "detail": message}
        return Response(json.dumps(problem), status, headers, media_type="application/problem+json")
    template = "partials/error.html" if is_fragment(request) else "pages/error.html"
    page = ErrorPage(status, title, message)
    return HTMLResponse(app_context_of(request).renderer.html(template, page), status, headers)


def _login_page(request: Request) -> str:
    """The URL of the login page, which leads back to the requested page, or to the page that a form is on."""
    is_submission = request.method != "GET" or is_fragment(request)
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    return f"/login?next={quote(_inside_site(page if is_submission else str(request.url)), safe='/')}"


def _inside_site(url: str) -> str:
    """The path and query of a URL, and that of the front page for a text that is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    return (f"{parts.path}?{parts.query}" if parts.query else parts.path) or "/"


def on_login_needed(request: Request, error: Exception) -> Response:
    """Redirect to the login. htmx requests get HX-Redirect, since a 303 would be swapped into a fragment."""
    if is_fragment(request):
        return error_response(request, 401, str(error), {"HX-Redirect": _login_page(request)})
    if request.method != "GET" or wants_json(request):
        return error_response(request, 401, str(error))
    return see_other(_login_page(request))


def on_app_error(request: Request, error: Exception) -> Response:
    """Show the error's own sentence, except for a 404 that might repeat the requested URL."""
    if not isinstance(error, AppError):
        raise error
    if isinstance(error, InvalidStore):
        logger.error("store unusable", extra={"detail": str(error)})
        return error_response(request, 503, error.sentence, {"Retry-After": "5"})
    if error.status_code == 404 and not isinstance(error, PageNotFound | SumNotStored):
        return error_response(request, 404, MESSAGES[404])
    headers = {"Retry-After": "5"} if error.status_code in (429, 503) else None
    return error_response(request, error.status_code, error.sentence, headers)


def on_http_error(request: Request, error: Exception) -> Response:
    """Respond to errors of the framework, such as an unknown route or a wrong method."""
    if not isinstance(error, HTTPException):
        raise error
    message = MESSAGES.get(error.status_code, HTTPStatus(error.status_code).description)
    return error_response(request, error.status_code, message, dict(error.headers or {}))


def on_invalid_request(request: Request, error: Exception) -> Response:
    """Name the invalid parameters, never their values, which may not even have a JSON form."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = sorted({str(part["loc"][-1]) for part in error.errors() if part.get("loc")})
    return error_response(request, 422, MESSAGES[422].format(fields=", ".join(fields)))


def on_left(_request: Request, _error: Exception) -> Response:
    """Respond to nobody: the client left before its request was whole."""
    return Response(status_code=400)


def on_crash(request: Request, error: Exception) -> Response:
    """Respond to an unexpected exception. No middleware runs here, so it sets the security headers itself."""
    request_id = getattr(request.state, "request_id", "")
    logger.error("request failed", exc_info=error, extra={"request_id": request_id})
    return error_response(request, 500, MESSAGES[500], {**SECURITY_HEADERS, HEADER: request_id})


def install(app: FastAPI) -> None:
    app.add_exception_handler(LoginNeeded, on_login_needed)
    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(ClientDisconnect, on_left)
    app.add_exception_handler(Exception, on_crash)
