"""Database errors as one sentence that a person can act on."""

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import AppError, FaultyDisk, InvalidStore, OutOfSpace, StoreBusy

_BUSY = "the store is in use by another process; try again in a moment"
_FULL = "the disk that holds the store is full; this change was not stored"
DAMAGED = "the store is damaged; restore it from a backup"
_NO_SCHEMA = "the store lacks tables that this version needs; run `head-atlas db upgrade`"
READ_ONLY = "the store cannot be written: it or its folder is read-only"
_GONE = "the database server that holds the store cannot be reached; try again in a moment"

_SQLITE: tuple[tuple[str, type[AppError], str], ...] = (
    ("is locked", StoreBusy, _BUSY),
    ("disk is full", OutOfSpace, _FULL),
    ("malformed", InvalidStore, DAMAGED),
    ("not a database", InvalidStore, DAMAGED),
    ("could not decode to utf-8", InvalidStore, DAMAGED),
    ("disk i/o error", FaultyDisk, "the disk that holds the store reports an input/output error"),
    ("readonly database", InvalidStore, READ_ONLY),
    ("unable to open", InvalidStore, "the store file cannot be opened or made at this place"),
    ("no such table", InvalidStore, _NO_SCHEMA),
    ("no such column", InvalidStore, _NO_SCHEMA),
)
_POSTGRES: dict[str, tuple[type[AppError], str]] = {
    "55P03": (StoreBusy, _BUSY),  # lock not available
    "40001": (StoreBusy, _BUSY),  # serialization failure
    "40P01": (StoreBusy, _BUSY),  # deadlock
    "53300": (StoreBusy, "the database server has no connection left; try again in a moment"),
    "53100": (OutOfSpace, _FULL),
    "25006": (InvalidStore, READ_ONLY),
    "42501": (InvalidStore, "the database user may not use the store's tables"),
    "42P01": (InvalidStore, _NO_SCHEMA),
    "42703": (InvalidStore, _NO_SCHEMA),
}


@contextmanager
def translated(where: str = "") -> Generator[None]:
    """Turn faults of the database into an AppError; anything else, such as a broken constraint, passes as it is.

    where: the path or address of the store, for commands to tell.
    """
    try:
        try:
            yield
        except PoolTimeout as error:
            raise StoreBusy(_BUSY) from error
        except DBAPIError as error:
            if translation := _translate(error):
                raise translation from error
            raise
    except (InvalidStore, StoreBusy, OutOfSpace) as error:
        error.where = error.where or where
        raise


def _translate(error: DBAPIError) -> AppError | None:
    state = getattr(error.orig, "sqlstate", None)
    if state in _POSTGRES:
        kind, sentence = _POSTGRES[state]
        return kind(sentence)
    if error.connection_invalidated or (state or "").startswith(("08", "57P")):
        return StoreBusy(_GONE)
    if type(error.orig).__module__.startswith("psycopg"):
        # Without a state the server was never reached; with one it is a fault of ours.
        return StoreBusy(_GONE) if state is None and type(error.orig).__name__ == "OperationalError" else None
    text = str(error.orig).lower()
    return next((kind(sentence) for part, kind, sentence in _SQLITE if part in text), None)


def first_line(error: SQLAlchemyError) -> str:
    """The driver's own words, without SQLAlchemy's statement and background link."""
    original = error.orig if isinstance(error, DBAPIError) else error
    lines = [line.strip() for line in str(original).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
