"""Opening a store with its schema up to date, and asking which run of an atlas is live."""

import logging
import shlex
from collections.abc import Callable, Generator
from contextlib import contextmanager

from sqlalchemy import Engine

from app.store.atlas.reads import LivePlan, find_live_fingerprint, find_live_plan
from app.store.database.engine import is_read_only, open_existing, open_store, read_session
from app.store.database.schema_versions import check_current, revision_of_code, revision_of_store
from app.store.database.store_names import store_name

_log = logging.getLogger(__name__)


def open_migrated(
    store: str, must_exist: bool = False, to_read: bool = False, say: Callable[[str], None] = _log.info
) -> Engine:
    """Open a store and bring its schema up to date. Raises InvalidStore.

    say: told what is done to a store of an older version, before it is.
    """
    engine = open_store(store, must_exist, to_read)
    revision = revision_of_store(engine)
    if revision != revision_of_code():
        from app.store.migrate import upgrade  # a current store needs no Alembic

        try:
            if is_read_only(engine):
                check_current(engine, store_name(engine))
            if revision is not None:
                say(_upgrade_words(engine, revision))
            upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


@contextmanager
def migrated_store(
    store: str, must_exist: bool = False, to_read: bool = False, say: Callable[[str], None] = _log.info
) -> Generator[Engine]:
    """Like open_migrated, for a while: the engine is disposed of at the end."""
    engine = open_migrated(store, must_exist, to_read, say)
    try:
        yield engine
    finally:
        engine.dispose()


def open_if_current(store: str) -> Engine | None:
    """Open a store that exists and has this version's schema; None for others.

    Raises InvalidStore for a file that is no store.
    """
    engine = open_existing(store)
    if engine is None:
        return None
    if revision_of_store(engine) == revision_of_code():
        return engine
    engine.dispose()
    return None


def upgrade_notice(store: str) -> str | None:
    """What opening a store of an older version will change, and the command that keeps a copy; None for others.

    For those who open it much later. Changes nothing. Raises what opening it would.
    """
    engine = open_existing(store)
    if engine is None:
        return None
    try:
        revision = revision_of_store(engine)
        is_older = revision not in (None, revision_of_code()) and not is_read_only(engine)
        return _upgrade_words(engine, revision) if is_older else None
    finally:
        engine.dispose()


def _upgrade_words(engine: Engine, revision: str | None) -> str:
    name = store_name(engine)
    copying = (
        f"head-atlas db backup before.sqlite --store {shlex.quote(name)}"
        if engine.dialect.name == "sqlite"
        else "pg_dump"
    )
    return (
        f"{name} is of an older version of Head Atlas: its schema is brought from revision {revision} to "
        f"{revision_of_code()}, and older versions refuse it from then on; no copy is made: to have one, stop this and "
        f"run {copying} first"
    )


def live_fingerprint(store: str, slug: str) -> str | None:
    """The fingerprint of the run that an atlas of a store shows; None where there is none."""
    with migrated_store(store) as engine, read_session(engine) as session:
        return find_live_fingerprint(session, slug)


def live_plan(store: str, slug: str, say: Callable[[str], None] = _log.info) -> LivePlan | None:
    """The plan of the run that an atlas of a store shows; None where there is none."""
    with migrated_store(store, say=say) as engine, read_session(engine) as session:
        return find_live_plan(session, slug)
