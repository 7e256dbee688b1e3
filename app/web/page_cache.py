"""Pages kept in memory with their ETag, so that a page is built once for each viewer and state of the store."""

import gzip
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from app.web.guards.compression import LEVEL

_N_TURNS = 64  # of all places together, so that two places may share one
MAX_BYTES = 64 * 1024 * 1024  # of compressed pages: some 4,000 head pages


class Place(NamedTuple):
    """A page's address and its viewer; one version of a page is kept for each place."""

    template: str
    address: str
    annotator_id: int


class PageCache:
    """Compressed pages, each with its ETag, the last used ones up to `max_bytes`.

    An ETag is made of everything that its page depends on, the viewer included (responses.page_tag), so a cached page
    equals the page that would be built. A page with a new ETag replaces the one cached for its place.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._pages: LRUCache[Place, tuple[str, bytes]] = LRUCache(max_bytes, getsizeof=_size)
        self._lock = Lock()
        self._turns = [Lock() for _ in range(_N_TURNS)]

    def turn(self, place: Place) -> Lock:
        """A lock to hold while the page is looked for and built: others who ask for it wait, and then find it."""
        return self._turns[hash(place) % _N_TURNS]

    def get(self, place: Place, tag: str) -> bytes | None:
        """The page of this place under this ETag, compressed; None if it has to be built."""
        with self._lock:
            tagged = self._pages.get(place)
        return tagged[1] if tagged is not None and tagged[0] == tag else None

    def add(self, place: Place, tag: str, content: bytes) -> bytes:
        """Keep the page, and return it compressed. A page that is larger than the whole cache is not kept."""
        compressed = gzip.compress(content, LEVEL, mtime=0)
        with self._lock:
            if len(compressed) <= self._pages.maxsize:
                self._pages[place] = tag, compressed
        return compressed


def _size(page: tuple[str, bytes]) -> int:
    return len(page[1])
