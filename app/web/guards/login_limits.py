"""Rate limits on login attempts, counted in memory, since the server is a single process."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import AbstractContextManager

from app.errors import AppError
from app.web.guards.turns import TurnLimits, Turns

WINDOW_S = 60.0
PER_ACCOUNT, PER_ADDRESS = 5, 30
MAX_KEYS = 10_000
# A password takes 64 MiB to check, on purpose. Behind a proxy all come from one address.
TURNS = TurnLimits(at_once=2, of_one_account=16, altogether=16, wait_s=10.0)


class TooManyLogins(AppError):
    """Too many login attempts within a minute."""

    status_code = 429

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, int(wait_s + 0.999))
        super().__init__(f"too many attempts to log in; try again in {self.wait_s} s")


class LoginLimits:
    """At most five attempts a minute per name and client address, and thirty per client address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tried: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()
        self._turns = Turns(TURNS, lambda _: TooManyLogins(1), "logins")

    def turn(self, address: str) -> AbstractContextManager[None]:
        """Let few passwords at a time be checked, and few wait. Raises TooManyLogins."""
        return self._turns.turn(address)

    def try_once(self, name: str, address: str) -> None:
        """Count an attempt. Raises TooManyLogins."""
        limits = {(address, name.casefold()[:100]): PER_ACCOUNT, (address,): PER_ADDRESS}
        with self._lock:
            now = self._clock()
            recent = {key: self._recent(key, now) for key in limits}
            for key, limit in limits.items():
                if len(recent[key]) >= limit:
                    raise TooManyLogins(recent[key][0] + WINDOW_S - now)
            # Only attempts that were let through take a place: a flood of refused ones drives out nobody's count.
            for key, times in recent.items():
                times.append(now)
                self._tried[key] = times
                self._tried.move_to_end(key)
            while len(self._tried) > MAX_KEYS:
                self._tried.popitem(last=False)

    def forget(self, name: str, address: str) -> None:
        """Reset the count of a name after a successful login."""
        with self._lock:
            self._tried.pop((address, name.casefold()[:100]), None)

    def _recent(self, key: tuple[str, ...], now: float) -> deque[float]:
        times = self._tried.get(key, deque())
        while times and times[0] <= now - WINDOW_S:
            times.popleft()
        return times
