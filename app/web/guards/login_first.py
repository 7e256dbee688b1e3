"""A change without a login is refused before its form is read, where a login is needed."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.guards.origins import SAFE_METHODS


class LoginFirst:
    """Middleware that refuses a change by what its headers say, so that nobody without an account has a form parsed.

    The body is taken off the wire and dropped: a client that is still sending would not hear the answer.
    refusal: the answer to a request that is refused, None for any other. It may read the store.
    """

    def __init__(self, app: ASGIApp, refusal: Callable[[Scope], Response | None]) -> None:
        self.app = app
        self.refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        refusal = await run_in_threadpool(self.refusal, scope)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        await refusal(scope, receive, send)
