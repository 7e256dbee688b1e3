"""A limit on the time that reading the store may take."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

_INSTRUCTIONS = 2000  # of SQLite's machine between two looks at the clock, well under a millisecond
_CANCELED = "57014"


class OutOfTime(Exception):
    """Statements were ended because their time was over."""


@contextmanager
def time_limit(session: Session, seconds: float) -> Generator[None]:
    """End the block's statements on this session after so many seconds. Raises OutOfTime.

    The session can read nothing more after that.
    """
    deadline = time.monotonic() + seconds
    connection = session.connection()
    raw: Any = connection.connection.driver_connection
    is_sqlite = connection.dialect.name == "sqlite"

    def check(*_: object) -> None:
        if time.monotonic() > deadline:
            raise OutOfTime

    event.listen(connection, "before_cursor_execute", check)
    if is_sqlite:
        raw.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
    else:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELED or str(error.orig) == "interrupted":
            raise OutOfTime from error
        raise
    finally:
        event.remove(connection, "before_cursor_execute", check)
        if is_sqlite:
            raw.set_progress_handler(None, 0)
