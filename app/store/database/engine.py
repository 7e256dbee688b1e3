"""Opening a store, and the two kinds of transaction on it."""

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from app.errors import InvalidStore
from app.store.database.errors import READ_ONLY, translated
from app.store.database.postgres import postgres_engine
from app.store.database.schema_versions import check_schema, revision_of_store
from app.store.database.sqlite import (
    backup_to,
    check_content,
    check_file,
    is_writable,
    set_journal_mode,
    sqlite_engine,
)
from app.store.database.store_names import name_of_url, store_name


def open_store(target: str | Path, must_exist: bool = False, to_read: bool = False) -> Engine:
    """Open the store at a path (a SQLite file, made on need) or a postgresql:// address.

    Its tables may be missing or old: `store.migrate.upgrade` makes or renews them. to_read: one that cannot be
    written is opened all the same, and is_read_only tells so.
    Raises InvalidStore or StoreBusy; what is refused is left as it was.
    """
    url = _parse(target)
    with translated(name_of_url(url)):
        if url.get_backend_name() == "postgresql":
            engine = postgres_engine(url)
        else:
            engine = _open_file(Path(str(url.database)), must_exist, to_read)
        try:
            check_schema(engine, store_name(engine))
            # An empty file that is only read stays empty, so that the check of it can be believed.
            unread = to_read and revision_of_store(engine) is None
            if engine.dialect.name == "sqlite" and not is_read_only(engine) and not unread:
                set_journal_mode(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def check_place(target: str | Path) -> bool:
    """Whether there is a store at the path or address. Raises what open_store would, but makes nothing."""
    engine = open_existing(target)
    if engine is None:
        return False
    engine.dispose()
    return True


def open_existing(target: str | Path) -> Engine | None:
    """Like open_store, but makes nothing: None where there is no store yet."""
    url = _parse(target)
    path = Path(str(url.database))
    if url.get_backend_name() == "sqlite" and not path.exists():
        check_file(path)
        return None
    return open_store(target)


def _open_file(path: Path, must_exist: bool, to_read: bool) -> Engine:
    check_file(path, to_read)
    if must_exist and not path.exists():
        raise InvalidStore(
            f"there is no store at {path}; `head-atlas precompute` or `head-atlas db upgrade` makes one"
        )
    engine = sqlite_engine(path, read_only=not is_writable(path))
    try:
        check_content(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _parse(target: str | Path) -> URL:
    if isinstance(target, Path) or "://" not in target:
        return URL.create("sqlite", database=str(Path(target).expanduser().absolute()))
    try:
        url = make_url(target.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError) as error:  # the text may hold a password: name no part of it
        raise InvalidStore(
            "the store's address cannot be read; it must look like postgresql://user@host/name"
        ) from error
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise InvalidStore(f"a store is a SQLite file or on Postgres, not {url.get_backend_name()[:40]!r}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise InvalidStore("a store needs a file: one in memory would be lost with its process")
    return url


def is_read_only(engine: Engine) -> bool:
    """Whether the store could not be written when it was opened."""
    return bool(engine.get_execution_options().get("head_atlas_read_only", False))


def backup(engine: Engine, destination: Path) -> None:
    """Copy a SQLite store, even one in use, to a new file. Raises InvalidStore for Postgres."""
    if engine.dialect.name != "sqlite":
        raise InvalidStore("a Postgres store is backed up with pg_dump")
    with translated(f"{store_name(engine)} to {destination}"):
        backup_to(engine, destination)


def only_reads(session: Session) -> bool:
    """Whether the session is one that cannot write."""
    return not session.get_bind().get_execution_options().get("head_atlas_writes", False)


@contextmanager
def read_session(engine: Engine) -> Generator[Session]:
    """One consistent view of the store, however many statements are read from it. Writing fails."""
    # SQLite's read transactions are such a view already; its dialect has no names for these two.
    bind = engine
    if engine.dialect.name == "postgresql":
        bind = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with translated(store_name(engine)), Session(bind, autoflush=False) as session:
        yield session


@contextmanager
def write_session(engine: Engine) -> Generator[Session]:
    """One transaction, committed when the block ends and rolled back when it raises. Raises InvalidStore, StoreBusy."""
    if is_read_only(engine):
        raise InvalidStore(READ_ONLY)
    bind = engine.execution_options(head_atlas_writes=True)
    turns = engine.get_execution_options().get("head_atlas_turns", nullcontext())
    with (
        translated(store_name(engine)),
        turns,
        Session(bind, expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session
