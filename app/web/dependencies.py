"""What routes depend on: the context of the application, and addresses parsed into references."""

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
from app.store.atlas.reads import LiveRun, get_live_run, list_atlases
from app.store.database.engine import Engine, Session, read_session, write_session
from app.web.guards.login_limits import LoginLimits
from app.web.guards.uploads import Uploads
from app.web.render import Renderer

_BARE_FEATURE = re.compile(r"F?(0|[1-9][0-9]{0,9})", re.ASCII | re.IGNORECASE)


class PageNotFound(NotFound):
    """A 404 with a sentence of our own: the address that was asked for is never echoed."""


@dataclass(frozen=True)
class Access:
    """Access mode: a team that logs in, one local annotator, or anonymous readers."""

    team: bool = False
    local: str = "me"
    allow_anonymous: bool = False
    public_url: str = ""


class AppContext:
    """One store, who looks at it, and how its pages are drawn."""

    def __init__(self, engine: Engine, renderer: Renderer, access: Access | None = None) -> None:
        self.engine = engine
        self.renderer = renderer
        self.access = access or Access()
        self.logins = LoginLimits()
        self.uploads = Uploads()
        self._cache = RunCache()

    def session(self) -> AbstractContextManager[Session]:
        return read_session(self.engine)

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that is committed when its block ends: before the answer is sent, never after."""
        return write_session(self.engine)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def close(self) -> None:
        self.engine.dispose()

    def check(self, session: Session) -> None:
        """Raises an AppError when the store does not answer."""
        list_atlases(session)

    def live_run(self, session: Session, model: str) -> LiveRun:
        """Raises PageNotFound, for a malformed name without asking the store."""
        try:
            return get_live_run(session, check_slug(model))
        except (NotFound, InvalidSlug) as error:
            raise PageNotFound("The store has no published atlas of that name.") from error

    @contextmanager
    def open_atlas(self, model: str, viewer: Viewer = NO_VIEWER) -> Generator[AtlasContext]:
        """The atlas for one request that reads it. Raises PageNotFound."""
        with self.session() as session:
            yield AtlasContext(session, self.live_run(session, model), viewer, self._cache)

    @contextmanager
    def change_atlas(self, model: str, viewer: Viewer) -> Generator[AtlasContext]:
        """The atlas in a transaction that is committed when the block ends. Raises PageNotFound."""
        with self.write() as session:
            yield AtlasContext(session, self.live_run(session, model), viewer, self._cache)


def get_app_context(request: Request) -> AppContext:
    return request.app.state.app_context


def parse_head(text: str) -> HeadRef:
    """Raises PageNotFound for a text that names no head."""
    try:
        return HeadRef.parse(text)
    except InvalidReference as error:
        raise PageNotFound("That is not the name of a head; heads look like L5H1.") from error


def parse_through(text: str) -> HeadOrSum:
    """One head, or all of them. Raises as parse_head does."""
    return "all" if text == "all" else parse_head(text)


def parse_feature(text: str, layer: int | None = None) -> FeatureRef:
    """A bare index belongs to the given layer. Raises PageNotFound for a text that names no feature."""
    if layer is not None and (match := _BARE_FEATURE.fullmatch(text)) and int(match[1]) <= MAX_INDEX:
        return FeatureRef(layer, int(match[1]))
    try:
        return FeatureRef.parse(text)
    except InvalidReference as error:
        raise PageNotFound("That is not the name of a feature; features look like L5F35744.") from error


AppContextDependency = Annotated[AppContext, Depends(get_app_context)]
