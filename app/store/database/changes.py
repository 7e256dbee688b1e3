"""Whether anything was written to a store since, by whichever process: asked for each request, in microseconds."""

from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Engine

from app.store.database.engine import is_read_only
from app.store.database.sqlite import driver, reading_connection


class ChangeWatch:
    """A number that changes with each commit to a SQLite store, whoever makes it.

    It has a connection of its own that writes nothing, for SQLite leaves out what the same connection commits.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = Lock()
        self._connection: Any = None
        self._path = Path(str(engine.url.database))
        if engine.dialect.name == "sqlite":
            self._connection = reading_connection(self._path, is_read_only(engine))
            self._file = self._path.stat().st_ino

    def version(self) -> int | None:
        """The number; None where it cannot be known: on Postgres, and while the file is locked, broken or another one.

        It must be asked before what is kept under it is read: what is committed between the two then gives another.
        """
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
