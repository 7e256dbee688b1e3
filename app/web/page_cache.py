"""Pages kept in memory under their ETag, so that a page is built once for all who may see the same of it."""

import gzip
from threading import Lock

from cachetools import LRUCache

from app.web.guards.compression import LEVEL

MAX_BYTES = 64 * 1024 * 1024  # of compressed pages: some 4,000 head pages


class PageCache:
    """Compressed pages, the last used ones up to `max_bytes`.

    An ETag is made of everything that its page depends on, the viewer included (responses.page_tag): what is kept
    under one never has to be dropped because it changed.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._pages: LRUCache[tuple[str, str], bytes] = LRUCache(max_bytes, getsizeof=len)
        self._lock = Lock()

    def get(self, template: str, tag: str) -> bytes | None:
        """The page of this template under this ETag, compressed; None if it has to be built."""
        with self._lock:
            return self._pages.get((template, tag))

    def add(self, template: str, tag: str, content: bytes) -> bytes:
        """Keep the page, and return it compressed. A page that is larger than the whole cache is not kept."""
        compressed = gzip.compress(content, LEVEL, mtime=0)
        with self._lock:
            if len(compressed) <= self._pages.maxsize:
                self._pages[template, tag] = compressed
        return compressed
