"""A cache of what does not change while a run is live and is slow to read: the run itself, vocabulary and heads."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from app.domain.evidence import normalised_ids
from app.domain.records import HeadRecord
from app.domain.tokens import Vocabulary
from app.services.reading.records_memory import RecordsMemory
from app.services.reading.token_index import TokenIndex
from app.services.reading.visibility import Viewer
from app.store.annotation_state import AnnotationState
from app.store.atlas.attention import has_attention
from app.store.atlas.reads import LiveRun, LiveState, get_heads, get_vocabulary, load_run
from app.store.database.engine import Session

T = TypeVar("T")
_STATES_IN_MEMORY = 32  # of annotations, each as one viewer sees it
_PAGES_IN_MEMORY = 4096  # of pages, some 3 kB each


class RunCache:
    """A cache for the newest few runs. Two threads may load a value twice at first; they get equal values."""

    def __init__(self, size: int = 15) -> None:
        self._size = size
        self._kept: dict[tuple[str, int, str], Any] = {}
        self.records = RecordsMemory().records
        self._of_states: LRUCache[Hashable, dict[str, Any]] = LRUCache(_STATES_IN_MEMORY)
        self._of_pages: LRUCache[Hashable, Any] = LRUCache(_PAGES_IN_MEMORY)
        self._lock = Lock()

    def live_run(self, session: Session, state: LiveState) -> LiveRun:
        """The run in this state. A run is immutable once it is live; which experiments it has is not."""
        run = self._get("run", state, lambda: load_run(session, state))
        return run if run.experiments == state.experiments else replace(run, experiments=state.experiments)

    def vocabulary(self, session: Session, run: LiveRun) -> Vocabulary:
        return self._get("vocabulary", run, lambda: Vocabulary.from_blob(get_vocabulary(session, run).blob))

    def heads(self, session: Session, run: LiveRun) -> tuple[HeadRecord, ...]:
        """Every head, in order of layer and head."""
        return self._get("heads", run, lambda: tuple(get_heads(session, run)))

    def has_attention(self, session: Session, run: LiveRun) -> bool:
        """Whether the run keeps what its heads attend to."""
        return self._get("has_attention", run, lambda: has_attention(session, run))

    def normalised_ids(self, session: Session, run: LiveRun) -> NDArray[np.int64]:
        """For each token id, the id of its text without leading space and in lower case: [d_vocab]."""
        return self._get("normalised_ids", run, lambda: normalised_ids(self.vocabulary(session, run)))

    def token_index(self, session: Session, run: LiveRun) -> TokenIndex:
        """The index from a text to the tokens that have it."""
        return self._get("token_index", run, lambda: TokenIndex.of(self.vocabulary(session, run)))

    def of_run(self, kind: str, run: LiveRun, load: Callable[[], T]) -> T:
        """A value of the run that its reader makes, under a name of its own."""
        return self._get(kind, run, load)

    def of_page(self, run: LiveRun, question: Hashable, load: Callable[[], T]) -> T:
        """What annotations need to know of one page; of many pages, for it is small."""
        key = (run.id, run.fingerprint, question)
        with self._lock:
            value = self._of_pages.get(key)
        if value is None:
            value = load()
            with self._lock:
                self._of_pages[key] = value
        return value

    def of_state(self, run: LiveRun, state: AnnotationState, viewer: Viewer) -> dict[str, Any]:
        """What was worked out for a viewer from the run and this state of its annotations, to be added to.

        Two threads may work out a value twice; they get equal values.
        """
        key = (run.id, run.fingerprint, state, viewer)
        with self._lock:
            return self._of_states.setdefault(key, {})

    def _get(self, kind: str, run: LiveRun | LiveState, load: Callable[[], Any]) -> Any:
        key = (kind, run.id, run.fingerprint)
        value = self._kept.get(key)
        if value is None:
            value = load()
            while len(self._kept) >= self._size:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = value
        return value
