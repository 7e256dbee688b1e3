"""Pages kept in memory with what they were made of, so that a page is built once for each viewer and what they see."""

import gzip
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from app.errors import AppError
from app.services.reading.context import AtlasContext
from app.web.guards.compression import LEVEL
from app.web.guards.turns import TurnLimits, Turns
from app.web.known_answers import Version

MAX_BYTES = 64 * 1024 * 1024  # of compressed pages: some 4,000 head pages
# Of quick pages. Python runs one thread at a time: of many, each waits for its lock after every statement, and all are
# late. Two, since one may wait for the disk. All of the server's threads may wait, for no longer than for a lock.
QUICK = TurnLimits(at_once=2, of_one_account=40, altogether=40, wait_s=5.0)


class PagesTakeLong(AppError):
    """The pages that are built take so long that this one is not waited for."""

    status_code = 503


class Place(NamedTuple):
    """A page's address and its viewer; one version of a page is kept for each place."""

    template: str
    address: str
    viewer: str


class State(NamedTuple):
    """What a page of some address is made of. run: a digest of what saves leave as it is, the viewer among it."""

    run: str
    annotations: str


class KeptPage(NamedTuple):
    """A page that holds in a state. part: a digest of what saves can change of it, where that is told apart.

    version: the last of the store in which the page is known to hold, where the store tells versions apart. look: makes
    that part anew, where this is less work than the page.
    """

    state: State
    part: str
    tag: str
    compressed: bytes
    version: Version | None = None
    look: Callable[[AtlasContext], object] | None = None

    @classmethod
    def of(
        cls,
        content: bytes,
        state: State,
        part: str = "",
        version: Version | None = None,
        look: Callable[[AtlasContext], object] | None = None,
    ) -> "KeptPage":
        """The page of this content, as it is sent."""
        return cls(state, part, tag_of(content), gzip.compress(content, LEVEL, mtime=0), version, look)


class PageCache:
    """Compressed pages, each with the last state in which it holds; the last used ones up to `max_bytes`.

    A page is given for a request only in that state, which holds everything that a page depends on (run_pages), the
    viewer included, so it equals the page that would be built.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._pages: LRUCache[Place, KeptPage] = LRUCache(max_bytes, getsizeof=_size)
        self._lock = Lock()
        self._quick = Turns(QUICK, PagesTakeLong, "pages")
        self._turns: dict[Place, tuple[Lock, int]] = {}  # of places that are asked for, with by how many

    @contextmanager
    def turn(self, place: Place, is_quick: bool) -> Iterator[None]:
        """Look for the page and build it inside: others who ask for it wait, and then find it.

        Quick pages take turns with one another. No other page is waited for: it may take as long as a search may.
        Raises PagesTakeLong.
        """
        with self._lock:
            own, n = self._turns.get(place, (Lock(), 0))
            self._turns[place] = own, n + 1
        try:
            with own, self.quick_turn(place.viewer) if is_quick else nullcontext():
                yield
        finally:
            with self._lock:
                own, n = self._turns.pop(place)
                if n > 1:
                    self._turns[place] = own, n - 1

    def quick_turn(self, viewer: str) -> AbstractContextManager[None]:
        """A turn among quick pages. Raises PagesTakeLong."""
        return self._quick.turn(viewer)

    def get(self, place: Place) -> KeptPage | None:
        """The last version of the page of this place; None if it has to be built."""
        with self._lock:
            return self._pages.get(place)

    def keep(self, place: Place, page: KeptPage) -> KeptPage:
        """Keep the page in place of its last version. A page that is larger than the whole cache is not kept."""
        with self._lock:
            if len(page.compressed) <= self._pages.maxsize:
                self._pages[place] = page
        return page


def tag_of(content: bytes) -> str:
    """The ETag of what is sent. It is weak, for one page is sent in two encodings."""
    return f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'


def _size(page: KeptPage) -> int:
    return len(page.compressed)
