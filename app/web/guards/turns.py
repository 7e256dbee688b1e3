"""Turns for work that takes long: some at once, some that wait, and of one account fewer."""

import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from app.errors import AppError


@dataclass(frozen=True)
class TurnLimits:
    """How many may be worked on and wait. Each that is inside takes one of the server's threads, which are forty."""

    at_once: int
    of_one_account: int
    altogether: int
    wait_s: float


class Turns:
    """A place for each request that is inside, and a turn for those that are worked on."""

    def __init__(self, limits: TurnLimits, refused: Callable[[str], AppError], things: str) -> None:
        """refused makes the error of a sentence; things: what waits, in the plural."""
        self._limits = limits
        self._refused = refused
        self._things = things
        self._free = threading.BoundedSemaphore(limits.at_once)
        self._inside = Counter[int | str]()  # by account
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, account: int | str) -> Generator[None]:
        """Wait for a turn and hold it for the block. Raises what `refused` makes where there is no place or turn."""
        with self.place(account):
            if not self._free.acquire(timeout=self._limits.wait_s):
                raise self._refused(f"other {self._things} take long just now; try again in a moment")
            try:
                yield
            finally:
                self._free.release()

    @contextmanager
    def place(self, account: int | str) -> Generator[None]:
        """Be inside for the block, without a turn. Raises what `refused` makes where there is no place."""
        limits = self._limits
        with self._lock:
            if self._inside[account] >= limits.of_one_account or self._inside.total() >= limits.altogether:
                raise self._refused(f"too many {self._things} are under way already; try again in a moment")
            self._inside[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside[account] -= 1
                self._inside += Counter()  # drops those at zero
