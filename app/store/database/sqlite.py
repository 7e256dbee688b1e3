"""SQLite: the driver, its pragmas, and the checks of a file before it is opened."""

import importlib
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from app.errors import InvalidStore
from app.store.database.errors import DAMAGED
from app.store.database.fair_lock import FairLock

BUSY_TIMEOUT_S = 5.0
# Before this version two connections that write and checkpoint at one moment can corrupt a store in WAL mode.
FIRST_SAFE_WAL = (3, 51, 3)
# The check at start-up reads the whole file; beyond this size it is left to the `check` command.
MAX_CHECKED_BYTES = 512 * 2**20
_HEADER = b"SQLite format 3\0"
_CAN_WRITE = "head_atlas_can_write"  # of a pooled connection: as its last transaction left it


def driver() -> ModuleType:
    """The driver: pysqlite3, which carries a current SQLite, or the standard library's where it is missing."""
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return importlib.import_module("sqlite3.dbapi2")


def journal_mode(version: tuple[int, ...]) -> str:
    """The journal mode: WAL, which lets readers work during a publish, where this SQLite does it safely."""
    return "WAL" if version >= FIRST_SAFE_WAL else "DELETE"


def dump_json(value: object) -> str:
    """JSON, the same text for equal values. Raises ValueError for NaN, which is not JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _load_json(text: str) -> object:
    """What dump_json made this text of. Raises InvalidStore for a text that it cannot have made."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidStore(DAMAGED) from error


def is_writable(path: Path) -> bool:
    """Whether the file can be written, and its folder: SQLite writes its journal beside it."""
    return _unwritable(path) is None


def _unwritable(path: Path) -> Path | None:
    for place in (path.parent, path) if path.exists() else (path.parent,):
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return place
    return None


def check_file(path: Path, to_read: bool = False) -> None:
    """Check, creating nothing, that a store can be opened or made at this path. Raises InvalidStore.

    to_read: one that is there may be read-only.
    """
    if path.is_dir():
        raise InvalidStore(f"{path} is a folder, not a store file")
    if path.exists() and not path.is_file():  # to open a pipe would wait for who writes to it
        raise InvalidStore(f"{path} is a device or a pipe, not a store file")
    if not path.parent.is_dir():
        raise InvalidStore(f"{path.parent} is not a folder, so the store {path.name} cannot be made in it")
    place = _unwritable(path)
    if place is not None and not (to_read and path.exists()):
        raise InvalidStore(f"{place} is not writable, so the store cannot be used")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            start = file.read(len(_HEADER))
    except OSError as error:
        raise InvalidStore(f"{path} cannot be read: {error.strerror}") from error
    if start not in (b"", _HEADER):
        raise InvalidStore(f"{path} is not a store: it is not a SQLite file")


def sqlite_engine(path: Path, read_only: bool = False) -> Engine:
    """An engine whose transactions are explicit, durable and enforce foreign keys. read_only: nothing is written."""
    module = driver()
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=module,
        **({"creator": partial(_connect_read_only, path)} if read_only else {}),
        # The driver's own transaction control would commit behind DDL and start too late for reads.
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
        pool_size=5,
        max_overflow=3,
        pool_timeout=BUSY_TIMEOUT_S,
        json_serializer=dump_json,
        json_deserializer=_load_json,
        execution_options={"head_atlas_turns": FairLock(BUSY_TIMEOUT_S), "head_atlas_read_only": read_only},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _connect_read_only(path: Path) -> Any:
    """A connection that leaves no trace, not even SQLite's files beside a store in WAL mode.

    Newest commits that still lie in such a file are read, where SQLite can do it without writing.
    """
    wal = path.with_name(f"{path.name}-wal")
    # Immutable: without looking for those files, which nobody can be writing.
    alone = "" if wal.exists() and wal.stat().st_size else "&immutable=1"
    return driver().connect(
        f"file:{quote(str(path))}?mode=ro{alone}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_S,
        check_same_thread=False,
    )


def reading_connection(path: Path, read_only: bool) -> Any:
    """A connection outside of the engine's pool that only reads, and that any thread may use; it waits for no lock."""
    if read_only:
        return _connect_read_only(path)
    connection = driver().connect(str(path), isolation_level=None, timeout=0.0, check_same_thread=False)
    connection.execute("PRAGMA query_only=ON")
    return connection


def _configure(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def set_journal_mode(engine: Engine) -> None:
    """Set the journal mode, which the file itself remembers: once, and only in a file that is a store of ours."""
    mode = journal_mode(driver().sqlite_version_info)
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with _outside_transactions(engine) as connection:
                connection.execute(f"PRAGMA journal_mode={mode}")
        except OperationalError as error:
            # This change does not wait for other connections, however long the busy timeout: we do.
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _begin(connection: Connection) -> None:
    # IMMEDIATE waits for the write lock at once; a read that turns into a write would fail instead.
    writes = connection.get_execution_options().get("head_atlas_writes", False)
    if connection.info.get(_CAN_WRITE) is not writes:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info[_CAN_WRITE] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def check_content(engine: Engine, path: Path, limit: int | None = MAX_CHECKED_BYTES) -> None:
    """Read a file of up to `limit` bytes through. Raises InvalidStore when SQLite finds it damaged."""
    if not path.exists() or path.stat().st_size == 0 or (limit is not None and path.stat().st_size > limit):
        return
    with engine.connect() as connection:
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if verdict != "ok":
        first = str(verdict).splitlines()[0]
        raise InvalidStore(f"{path} is damaged ({first}); restore it from a backup")


def backup_to(engine: Engine, destination: Path) -> None:
    """Copy a store in use to a new file, whole as of one moment. Raises InvalidStore if the file exists."""
    if destination.exists():
        raise InvalidStore(
            f"{destination} exists already, and a backup never overwrites a file; name another"
        )
    check_file(destination)
    try:
        with _outside_transactions(engine) as connection:
            connection.execute("VACUUM INTO ?", (str(destination),))
    except OperationalError:
        destination.unlink(missing_ok=True)
        raise


@contextmanager
def _outside_transactions(engine: Engine) -> Generator[Any]:
    # SQLAlchemy begins a transaction before any statement, and these statements refuse to run in one.
    raw = engine.raw_connection()
    try:
        connection: Any = raw.driver_connection
        raw.info.pop(_CAN_WRITE, None)
        connection.execute("PRAGMA query_only=OFF")
        yield connection
    except driver().Error as error:
        raise OperationalError(None, None, error) from error
    finally:
        raw.close()
