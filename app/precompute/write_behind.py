"""Work in a thread of its own: records are packed and stored while the next ones are made."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class WriteBehind:
    """Does one piece of work after the other in one thread, never more than one behind.

    An error of a piece is raised by the next call, or on leaving.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "write-behind")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def add(self, work: Callable[[], None]) -> None:
        """Start a piece of work as soon as the one before it is done."""
        self.wait()
        self._pending = self._pool.submit(work)

    def wait(self) -> None:
        """Wait until all is done."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()
