"""One line in the log and one count in the metrics for each request, under an id that the answer carries, too."""

import logging
import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.web.metrics import Metrics

HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_log = logging.getLogger(__name__)


class RequestLog:
    """Middleware that gives requests an id, counts and logs them; never the query, which may be a visitor's text."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = {"status": 500, "bytes": 0}

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            else:
                answer["bytes"] += len(message.get("body", b""))
            await send(message)

        began = time.monotonic()
        self.metrics.begin()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, counted)
            finally:
                seconds = time.monotonic() - began
                self.metrics.end(scope["method"], route_of(scope), answer["status"], seconds)
                facts = {"method": scope["method"], "route": route_of(scope), "path": scope["path"][:200]}
                _log.info("request", extra={**facts, **answer, "ms": round(1000 * seconds, 1)})


def request_id_of(headers: Headers) -> str:
    """The id that a proxy gave the request, if it is one, else a new one."""
    request_id = headers.get(HEADER, "")
    return request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex


def route_of(scope: Scope) -> str:
    """The route's pattern, such as /{model}/heads/{head}: the same for all of its addresses."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return "/static" if scope["path"].startswith("/static/") else "none"
