"""Answers and viewers that are known without a look at the store, as long as nothing at all was written to it."""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import NamedTuple, Protocol

from cachetools import LRUCache
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.services.reading.visibility import Viewer
from app.web.guards.compression import accepts_gzip

MAX_ANSWERS = 8192
MAX_VIEWERS = 1024
MAX_KEY_BYTES = 1024
# What an answer depends on besides its address: who asks, and whether for a fragment.
_HEADERS = (b"cookie", b"hx-request", b"hx-history-restore-request")


class Version(NamedTuple):
    """A state of the store, and the sessions that ended without the store having been told."""

    store: int | str
    ended: frozenset[str]


class Asked(NamedTuple):
    """A request as far as its answer depends on it."""

    scheme: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class KnownAnswer(NamedTuple):
    """The answer to a request in one version of the store. until: when its viewer's login ends.

    respond: None where it is not in memory any more. still: whether it is known to be the answer in a later version.
    """

    version: Version
    until: datetime | None
    route: object
    respond: Callable[[Headers], Response | None]
    still: Callable[[Version], bool]


class KnownAnswers:
    """The last answers, each under its request."""

    def __init__(self, size: int = MAX_ANSWERS) -> None:
        self._answers: LRUCache[Asked, KnownAnswer] = LRUCache(size)
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, asked: Asked) -> KnownAnswer | None:
        with self._lock:
            return self._answers.get(asked)

    def keep(
        self,
        request: Request,
        respond: Callable[[Headers], Response | None],
        still: Callable[[Version], bool] = lambda _: False,
    ) -> None:
        """Keep the answer to a request that came by way of AnsweredBefore, and whose version is known."""
        asked, version = getattr(request.state, "asked", None), version_of(request)
        if asked is None or version is None or _size(asked) > MAX_KEY_BYTES:
            return
        until = getattr(request.state, "login_ends", None)
        with self._lock:
            self._answers[asked] = KnownAnswer(version, until, request.scope.get("route"), respond, still)


class KnownViewers:
    """The viewers of the last requests, each by their account, in one version of the store."""

    def __init__(self, size: int = MAX_VIEWERS) -> None:
        self._viewers: LRUCache[str, tuple[Version, datetime | None, Viewer]] = LRUCache(size)
        self._lock = Lock()

    def get(self, request: Request, account: str, now: datetime) -> Viewer | None:
        """The account's viewer, and when their login ends with the request; None where the store has to be asked."""
        known = self._known(account, version_of(request))
        if known is None:
            return None
        until, viewer = known
        if until is not None and now >= until:
            return None
        request.state.login_ends = until
        return viewer

    def let_in(self, account: str, version: Version | None) -> tuple[datetime | None, Viewer] | None:
        """When the account's login ends and what they may see, in this version of the store; None if not known."""
        known = self._known(account, version)
        return None if known is None else (known[0], known[1].without_id)

    def _known(self, account: str, version: Version | None) -> tuple[datetime | None, Viewer] | None:
        with self._lock:
            known = self._viewers.get(account)
        return known[1:] if known is not None and known[0] == version else None

    def keep(self, request: Request, account: str, viewer: Viewer) -> None:
        """Keep the viewer that was read for the request, if the version in which it was read is known."""
        version = version_of(request)
        if version is not None and len(account) <= MAX_KEY_BYTES:
            with self._lock:
                self._viewers[account] = version, getattr(request.state, "login_ends", None), viewer


class AnswerSource(Protocol):
    """What the answers come from: the application's context."""

    answers: KnownAnswers

    async def version(self) -> Version | None: ...
    def now(self) -> datetime: ...


class AnsweredBefore:
    """Middleware that repeats an answer that is known, where all that it was made of is as it was.

    It is inside all that checks a request by itself (its host, its origin), and outside of all that reads the store:
    the viewer was let in when the answer was made, and in the same version of the store is let in until the login ends.
    """

    def __init__(self, app: ASGIApp, source: AnswerSource) -> None:
        self.app = app
        self.source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
            return
        asked, version = asked_by(scope), await self.source.version()
        answer = self.source.answers.get(asked) if version is not None else None
        if version is not None and answer is not None and self._holds(answer, version):
            headers = Headers(scope=scope)
            response = answer.respond(headers) if accepts_gzip(headers) else None
            if response is not None:
                scope["route"] = answer.route
                await response(scope, receive, send)
                return
        scope.setdefault("state", {}).update(asked=asked, version=version)
        await self.app(scope, receive, send)

    def _holds(self, answer: KnownAnswer, version: Version) -> bool:
        is_let_in = answer.until is None or self.source.now() < answer.until
        return is_let_in and (answer.version == version or answer.still(version))


def version_of(request: Request) -> Version | None:
    """The version of the store when the request arrived; None where it cannot be told."""
    return getattr(request.state, "version", None)


def asked_by(scope: Scope) -> Asked:
    """The request of the scope, with every header that its answer may depend on but by its encoding and version."""
    headers = tuple((name, value) for name, value in scope["headers"] if name in _HEADERS)
    path = scope.get("raw_path") or scope["path"].encode()
    return Asked(scope["scheme"], path, scope["query_string"], headers)


def _size(asked: Asked) -> int:
    return len(asked.path) + len(asked.query) + sum(len(value) for _, value in asked.headers)
