"""Response headers, allowed hosts and the HEAD method, as pure ASGI middleware."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# same-origin, not no-referrer: under no-referrer browsers send `Origin: null` with our own forms.
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


EMBED = "/embed/"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?")


def embed_headers(frame_ancestors: Sequence[str]) -> dict[str, str]:
    """The security headers of pages that the listed origins may show in a frame."""
    allowed = " ".join(frame_ancestors) or "'none'"
    policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", f"frame-ancestors {allowed}")
    return {**SECURITY_HEADERS, "Content-Security-Policy": policy}


class SecurityHeaders:
    """Middleware that sets SECURITY_HEADERS on every response, including errors and static files."""

    def __init__(self, app: ASGIApp, frame_ancestors: Sequence[str] = ()) -> None:
        self.app = app
        self.embed_headers = embed_headers(frame_ancestors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        headers = self.embed_headers if scope["path"].startswith(EMBED) else SECURITY_HEADERS

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self.app(scope, receive, stamped)


def host_name(host: str) -> str:
    """The name in a Host header in lower case, without port and brackets; an empty text for what is no such header.

    What comes after the name must be a port: a framework that puts the header before the path, to make an address of
    the two, would take anything else for a part of that path.
    """
    match = _HOST.fullmatch(host)
    return match[1].strip("[]").lower() if match else ""


class AllowedHosts:
    """Middleware that refuses other Host headers, which protects against DNS rebinding."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.strip("[]").lower() for host in hosts) - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and host_name(Headers(scope=scope).get("host", "")) not in self.hosts:
            refusal = PlainTextResponse("This server does not answer to that host name.\n", status_code=400)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


class HeadAsGet:
    """Middleware that answers HEAD like GET without the body, so that routes need not declare HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, bodiless)
