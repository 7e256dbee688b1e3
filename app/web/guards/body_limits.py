"""Limits on the size of requests: 1 MiB, more for the paths that accept files, less for the form of the login."""

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY = 2**20
MAX_FILE = 50 * 2**20
MAX_LOGIN = 2**17  # its three fields of 2000 characters, escaped, have 72 kB; anybody may send it
FILES = "multipart/form-data"  # the one kind of form with files; others are read whole
# Ends of paths that take files.
FILE_PATHS: Mapping[str, int] = {"/annotations/import": MAX_FILE}


class BodyLimits:
    """Middleware that answers 413 to a larger body, by its declared length or once that much has arrived.

    may_send_files: whether a request's viewer may send a file. Other viewers have the small limit on every path, so
    that nobody fills the disk without an account. The function may read the store.
    """

    def __init__(self, app: ASGIApp, may_send_files: Callable[[Scope], bool] = lambda _: True) -> None:
        self.app = app
        self.may_send_files = may_send_files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = next((n for end, n in FILE_PATHS.items() if scope["path"].endswith(end)), MAX_BODY)
        limit = MAX_LOGIN if scope["path"] == "/login" else limit
        if limit > MAX_BODY and not (
            _has_files(scope) and await run_in_threadpool(self.may_send_files, scope)
        ):
            limit = MAX_BODY
        await RequestBodyLimitResponder(self.app, limit)(scope, receive, send)


def _has_files(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").lower().startswith(FILES)
