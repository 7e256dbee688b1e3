"""Protection against cross-site requests and against redirects to other sites after a login."""

import re

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Under https the prefix makes browsers insist on Secure, on no domain, and on the path /.
SESSION_COOKIES = ("head_atlas_session", "__Host-head_atlas_session")
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
REFUSED = "This change came from another site, or from no page at all, and was refused.\n"
_INSIDE = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")


class SameOrigin:
    """Middleware that lets only our own pages make changes.

    It trusts Sec-Fetch-Site or Origin, which browsers set, in place of CSRF tokens in forms.
    """

    def __init__(self, app: ASGIApp, public_url: str = "") -> None:
        self.app = app
        self.public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not self._is_own(scope):
            await PlainTextResponse(REFUSED, 403, {"Cache-Control": "no-store"})(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            return site in ("same-origin", "none")
        if origin is not None:
            own = self.public_url or f"{scope['scheme']}://{headers.get('host', '')}"
            return origin.lower() == own.lower()
        # Neither: no browser of today, such as curl. With a session's cookie it may be one that hides both.
        cookies = cookie_parser(headers.get("cookie", ""))
        return not any(name in cookies for name in SESSION_COOKIES)


def inside(address: str) -> str:
    """The URL if it is a path on this site, else the front page; a login must not redirect elsewhere."""
    return address if _INSIDE.fullmatch(address) else "/"
