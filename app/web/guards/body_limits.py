"""Limits on the size of requests: 1 MiB, or more for the paths that accept files."""

from collections.abc import Mapping

from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 2**20
MAX_FILE = 50 * 2**20
# Ends of paths that take files.
FILE_PATHS: Mapping[str, int] = {"/annotations/import": MAX_FILE}


class BodyLimits:
    """Middleware that answers 413 to a larger body, by its declared length or once that much has arrived."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next((n for end, n in FILE_PATHS.items() if scope["path"].endswith(end)), MAX_BODY)
        await RequestBodyLimitResponder(self.app, limit)(scope, receive, send)
