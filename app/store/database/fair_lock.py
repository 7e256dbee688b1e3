"""A lock by which the threads of one process write to a file in the order in which they asked."""

import threading
from collections import deque

from app.errors import StoreBusy


class FairLock:
    """A lock given in the order in which it was asked for, as a context manager.

    SQLite has no queue. A writer that waits looks again after ever longer pauses, and those who came later and
    look more often go before it: under a steady stream of writes some wait ten times as long as others.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        """Wait for a turn. Raises StoreBusy when it does not come in time."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(self._timeout_s):
            return
        with self._guard:
            if mine.is_set():  # it came between the two
                return
            self._waiting.remove(mine)
        raise StoreBusy("others are writing to the store; try again in a moment")

    def __exit__(self, *_error: object) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # handed on: nobody comes between
            else:
                self._taken = False
