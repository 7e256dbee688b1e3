"""Whether anything was written to a store since, by whichever process: asked for each request."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from app.store.database.engine import is_read_only
from app.store.database.postgres import unpooled
from app.store.database.sqlite import driver, reading_connection

# Longer than that no request waits to be told that nothing was written: it asks the store for all it needs instead.
PATIENCE_S = 0.5


class ChangeWatch(Protocol):
    """Tells one state of a store from another.

    It must be asked before what is kept under it is read: what is committed between the two then gives another version.
    """

    async def version(self) -> int | str | None:
        """What differs after each commit, whoever makes it; None where it cannot be known just now."""
        ...

    def close(self) -> None: ...


def watch_changes(engine: Engine) -> ChangeWatch:
    """The watch of the store."""
    return FileWatch(engine) if engine.dialect.name == "sqlite" else SnapshotWatch(engine)


class FileWatch:
    """Reads the number that SQLite counts up with each commit to a file: in microseconds.

    It has a connection of its own that writes nothing, for SQLite leaves out what the same connection commits.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = Lock()
        self._path = Path(str(engine.url.database))
        self._connection: Any = reading_connection(self._path, is_read_only(engine))
        self._file = self._path.stat().st_ino

    async def version(self) -> int | None:
        """The number; None while the file is locked, broken or another one."""
        with self._lock:
            if self._connection is None:
                return None
            try:
                if self._path.stat().st_ino != self._file:
                    return None
                return self._connection.execute("PRAGMA data_version").fetchone()[0]
            except (driver().Error, OSError):
                return None

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class SnapshotWatch:
    """Asks Postgres which transactions can be seen: as long as the answer is the same, so is all that can be read.

    One question answers all that wait for the next answer, and is put after they came. It is asked over a connection of
    its own, by a thread of its own. Transactions of other databases on the server change the answer, too. A standby
    does not say which transactions are still under way, so what it says may be the same after a commit.
    """

    _QUESTION = "SELECT pg_current_snapshot()::text WHERE NOT pg_is_in_recovery()"

    def __init__(self, engine: Engine) -> None:
        self._engine = unpooled(engine)
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, "changes")
        self._lock = Lock()
        self._waiting: list[Future[str | None]] = []

    async def version(self) -> str | None:
        """The transactions that can be seen; None where the server does not say so soon, or is a standby."""
        answer: Future[str | None] = Future()
        with self._lock:
            if not self._waiting:
                self._thread.submit(self._answer)
            self._waiting.append(answer)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE_S)
        except TimeoutError:
            return None

    def close(self) -> None:
        ended = self._thread.submit(self._hang_up)
        self._thread.shutdown(wait=False)
        with suppress(FutureTimeout):  # the server has not answered the last question yet, and may never do
            ended.result(PATIENCE_S)

    def _answer(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        waiting = [answer for answer in waiting if answer.set_running_or_notify_cancel()]
        try:
            version = self._ask()
        except Exception as error:
            for answer in waiting:
                answer.set_exception(error)
            return
        for answer in waiting:
            answer.set_result(version)

    def _ask(self) -> str | None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return self._connection.exec_driver_sql(self._QUESTION).scalar()
        except SQLAlchemyError:  # whoever needs the store is told what is wrong with it
            self._hang_up()
            return None

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
