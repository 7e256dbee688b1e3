"""Dependencies of the routes: the application's context, and parsers of references in URLs."""

import re
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from app.domain.refs import MAX_INDEX, FeatureRef, HeadRef, InvalidReference
from app.domain.slugs import InvalidSlug, check_slug
from app.errors import NotFound
from app.services.features.page import HeadOrSum
from app.services.reading.cache import RunCache
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import NO_VIEWER, Viewer
from app.store.annotators import end_login
from app.store.atlas.reads import LiveRun, check_answers, get_live_state
from app.store.database.changes import watch_changes
from app.store.database.engine import Engine, Session, is_read_only, read_session, write_session
from app.store.database.schema_versions import check_current
from app.web.guards.login_limits import LoginLimits
from app.web.guards.searches import Searches
from app.web.guards.shares import AccountShares
from app.web.guards.uploads import Uploads
from app.web.known_answers import KnownAnswers, KnownViewers, Version
from app.web.metrics import Metrics
from app.web.page_cache import PageCache
from app.web.recent_pages import RecentPages
from app.web.render import Renderer

_BARE_FEATURE = re.compile(r"F?(0|[1-9][0-9]{0,9})", re.ASCII | re.IGNORECASE)


class PageNotFound(NotFound):
    """A 404 with a sentence of its own, which never repeats the requested URL."""


@dataclass(frozen=True)
class Access:
    """Access mode: a team that logs in, one local annotator, or anonymous readers."""

    team: bool = False
    local: str = "me"
    allow_anonymous: bool = False
    public_url: str = ""
    metrics: bool = False


class AppContext:
    """The application's shared state: the store, the access mode, the renderer and in-memory caches."""

    def __init__(self, engine: Engine, renderer: Renderer, access: Access | None = None) -> None:
        self.engine = engine
        self.read_only = is_read_only(engine)
        self.renderer = renderer
        self.access = access or Access()
        self.logins = LoginLimits()
        self.uploads = Uploads()
        self.searches = Searches()
        self.shares = AccountShares()
        self.metrics = Metrics()
        self.pages = PageCache()
        self.recent_pages = RecentPages()
        self.answers = KnownAnswers()
        self.viewers = KnownViewers()
        # Tokens of sessions that ended while the store could not be written: it still has them as valid.
        self.ended: set[str] = set()
        self._cache = RunCache()
        self._changes = watch_changes(engine)

    def session(self) -> AbstractContextManager[Session]:
        return read_session(self.engine)

    @contextmanager
    def write(self) -> Generator[Session]:
        """Open a transaction that is committed when the block ends, always before the response is sent.

        It takes down the sessions that have ended but could not be taken down then.
        """
        ended = tuple(self.ended)
        with write_session(self.engine) as session:
            for token in ended:
                end_login(session, token)
            yield session
        self.ended.difference_update(ended)

    async def version(self) -> Version | None:
        """What differs after every change of the store; None where that cannot be told."""
        store = await self._changes.version()
        return None if store is None else Version(store, frozenset(self.ended))

    def now(self) -> datetime:
        return datetime.now(UTC)

    def close(self) -> None:
        self._changes.close()
        self.engine.dispose()

    def check(self, session: Session) -> None:
        """Raise an AppError if the store does not answer."""
        check_answers(session)

    def check_ready(self) -> None:
        """Raise an AppError if the store does not answer, or is of another version by now."""
        with self.session() as session:
            self.check(session)
        check_current(self.engine, "the store")

    def live_run(self, session: Session, model: str) -> LiveRun:
        """The live run of the atlas of this name.

        Raises PageNotFound; a malformed name is rejected without a query.
        """
        try:
            state = get_live_state(session, check_slug(model))
            return self._cache.live_run(session, state)
        except (NotFound, InvalidSlug) as error:
            raise PageNotFound("The store has no published atlas of that name.") from error

    @contextmanager
    def open_atlas(self, model: str, viewer: Viewer = NO_VIEWER) -> Generator[AtlasContext]:
        """Open the atlas for one request that only reads. Raises PageNotFound."""
        with self.session() as session:
            yield AtlasContext(session, self.live_run(session, model), viewer, self._cache)

    @contextmanager
    def change_atlas(self, model: str, viewer: Viewer) -> Generator[AtlasContext]:
        """Open the atlas in a transaction that is committed when the block ends. Raises PageNotFound."""
        with self.write() as session:
            yield AtlasContext(session, self.live_run(session, model), viewer, self._cache)


def app_context_of(request: Request) -> AppContext:
    return request.app.state.app_context


async def get_app_context(request: Request) -> AppContext:
    """The dependency of that name; async, because what waits for nothing needs no thread."""
    return app_context_of(request)


def parse_head(text: str) -> HeadRef:
    """The head that the text names. Raises PageNotFound for any other text."""
    try:
        return HeadRef.parse(text)
    except InvalidReference as error:
        raise PageNotFound("That is not the name of a head; heads look like L5H1.") from error


def parse_through(text: str) -> HeadOrSum:
    """One head, or "all" for all heads summed. Raises as parse_head does."""
    return "all" if text == "all" else parse_head(text)


def parse_feature(text: str, layer: int | None = None) -> FeatureRef:
    """The feature that the text names; a bare index is one of the given layer.

    Raises PageNotFound for any other text.
    """
    if layer is not None and (match := _BARE_FEATURE.fullmatch(text)) and int(match[1]) <= MAX_INDEX:
        return FeatureRef(layer, int(match[1]))
    try:
        return FeatureRef.parse(text)
    except InvalidReference as error:
        raise PageNotFound("That is not the name of a feature; features look like L5F35744.") from error


AppContextDependency = Annotated[AppContext, Depends(get_app_context)]
