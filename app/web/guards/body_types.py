"""What the body of a change may be: a form in UTF-8, which is all that the pages send."""

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.guards.origins import SAFE_METHODS

_UTF8 = re.compile(r"(?:^|;)\s*charset=\"?utf-?8\"?\s*(?:;|$)")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
REFUSED = "Changes are sent as a form in UTF-8; this is something else, and nothing was saved.\n"


class FormBodies:
    """Middleware that answers 415 to a body that is no form, which a route would read as an empty one.

    Other encodings than UTF-8 could bring characters that no text has.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] not in SAFE_METHODS
            and not _is_form(Headers(scope=scope))
        ):
            await PlainTextResponse(REFUSED, 415, {"Cache-Control": "no-store"})(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_form(headers: Headers) -> bool:
    sent = headers.get("content-type")
    if sent is None:  # a form without a field has no type; with a body it would be read as one all the same
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    kind, _, parameters = sent.lower().partition(";")
    # Named once at most: of two the framework would take the last.
    plain = "charset" not in parameters or (parameters.count("charset") == 1 and _UTF8.search(parameters))
    return kind.strip() in FORMS and bool(plain)
