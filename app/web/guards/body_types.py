"""The allowed body of a change: a form in UTF-8, which is all that the pages send."""

import re
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.guards.multipart_text import MultipartText
from app.web.guards.origins import SAFE_METHODS

_UTF8 = re.compile(r"(?:^|;)\s*charset=\"?utf-?8\"?\s*(?:;|$)")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
REFUSED = "Changes must be sent as a form in UTF-8; this request is not one, and nothing was saved.\n"
NO_UTF8 = "The form holds bytes that are no text in UTF-8, and nothing was saved.\n"
_ESCAPED = [bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in range(256)]
_SEPARATORS = re.compile(rb"&&+")
_NO_STORE = {"Cache-Control": "no-store"}


class FormBodies:
    """Middleware that answers 415 to a body that is not a form, since a route would read it as an empty form.

    Other encodings than UTF-8 could bring characters that no text has; what is not even UTF-8 is answered with 422,
    since the framework would put U+FFFD in its place.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not _is_form(headers):
            await PlainTextResponse(REFUSED, 415, _NO_STORE)(scope, receive, send)
            return
        if headers.get("content-type", "").lower().startswith(FORMS[0]):
            last, body = await _whole_body(receive)
            if not _is_utf8(body):
                await PlainTextResponse(NO_UTF8, 422, _NO_STORE)(scope, receive, send)
                return
            receive = _again(
                {**last, "body": _plain(body)} if last["type"] == "http.request" else last, receive
            )
        elif "content-type" in headers:
            await self._read_along(scope, MultipartText(receive, headers["content-type"]), send)
            return
        await self.app(scope, receive, send)

    async def _read_along(self, scope: Scope, form: MultipartText, send: Send) -> None:
        """Answer 422 in place of the application from the moment on that a field of the form is no text."""

        async def unless_refused(message: Message) -> None:
            if form.is_text:
                await send(message)
            elif message["type"] == "http.response.start":
                await PlainTextResponse(NO_UTF8, 422, _NO_STORE)(scope, form.receive, send)

        await self.app(scope, form.receive, unless_refused)


def _plain(body: bytes) -> bytes:
    """The same form as the framework reads it rightly and soon.

    Bytes that are not escaped, as curl sends them, it would read as Latin 1; an empty field takes it microseconds.
    """
    if not body.isascii():
        body = b"".join(map(_ESCAPED.__getitem__, body))
    return _SEPARATORS.sub(b"&", body)


async def _whole_body(receive: Receive) -> tuple[Message, bytes]:
    """The last message of a request, and the body of all."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return message, b"".join(parts)


def _again(first: Message, receive: Receive) -> Receive:
    left = iter([first])

    async def next_message() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return next_message


def _is_utf8(body: bytes) -> bool:
    try:
        unquote_to_bytes(body).decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_form(headers: Headers) -> bool:
    sent = headers.get("content-type")
    if sent is None:  # a form without a field has no type; with a body it would be read as one all the same
        return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    kind, _, parameters = sent.lower().partition(";")
    # Named once at most: of two the framework would take the last.
    plain = "charset" not in parameters or (parameters.count("charset") == 1 and _UTF8.search(parameters))
    return kind.strip() in FORMS and bool(plain)
