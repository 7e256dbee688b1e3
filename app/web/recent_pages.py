"""Which pages each viewer asked for lately: after a save these are looked at together, for one by one is dearer.

Those are looked at that were asked for since the last look but one: saves often come in twos, and the first look may
take as long as it is until the second. So no request costs more than two looks, however many saves there are.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache

from app.services.reading.visibility import Viewer
from app.web.known_answers import Version
from app.web.page_cache import KeptPage, Place

MAX_READERS = 256
MAX_PLACES = 500  # of one reader: their last ones. Together they take a tenth of a second, or three


class Reader(NamedTuple):
    """Somebody who reads an atlas. viewer: without id, as one who has not saved anything yet is the same afterwards."""

    model: str
    viewer: Viewer


@dataclass
class _Reading:
    """What a reader asked for since the last look, and between that and the one before. version: of the last look."""

    version: Version
    since: dict[Place, None] = field(default_factory=dict)
    before: dict[Place, None] = field(default_factory=dict)
    turn: Lock = field(default_factory=Lock)


class RecentPages:
    """The pages that each of the last readers asked for lately."""

    def __init__(self) -> None:
        self._readings: LRUCache[Reader, _Reading] = LRUCache(MAX_READERS)
        self._lock = Lock()

    def asked(self, reader: Reader, place: Place, page: KeptPage) -> None:
        """Note that the reader was given the page of this place, if it is one that can be looked at."""
        if page.look is None or page.version is None:
            return
        with self._lock:
            reading = self._readings.get(reader)
            if reading is None:
                reading = self._readings[reader] = _Reading(page.version)
            reading.since.pop(place, None)
            reading.since[place] = None
            if len(reading.since) > MAX_PLACES:
                del reading.since[next(iter(reading.since))]

    @contextmanager
    def to_look_at(self, reader: Reader, version: Version) -> Generator[list[Place]]:
        """The places to look at in this block, for another version of the store; none where no look is due.

        Others who read the same wait until the block ends.
        """
        with self._lock:
            reading = self._readings.get(reader)
        if reading is None or reading.version == version:
            yield []
            return
        with reading.turn:
            if reading.version == version:
                yield []
                return
            with self._lock:
                before = [place for place in reading.before if place not in reading.since]
                places = [*before, *reading.since][-MAX_PLACES:]
                reading.before, reading.since = reading.since, {}
            try:
                yield places
            finally:
                reading.version = version
