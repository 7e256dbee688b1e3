"""Which schema a store has, and whether this version knows it: asked each time a store is opened.

Alembic, which changes schemas, is not needed for that, and a server starts sooner without it.
"""

from sqlalchemy import Engine, inspect, text

from app.errors import InvalidStore
from app.paths import migrations_dir
from app.store.database.errors import translated
from app.store.database.store_names import store_name

_VERSION_TABLE = "alembic_version"  # Alembic's own: one row


def known_revisions() -> list[str]:
    """Every revision that this version knows, oldest first. The name of a migration's file begins with it."""
    revisions = sorted(path.name.partition("_")[0] for path in (migrations_dir() / "versions").glob("*_*.py"))
    if not revisions:
        raise FileNotFoundError("this installation lacks its migrations; install head-atlas again")
    return revisions


def revision_of_code() -> str:
    """The newest revision that this version knows."""
    return known_revisions()[-1]


def revision_of_store(engine: Engine) -> str | None:
    """The store's revision; None where there are no tables yet."""
    with translated(store_name(engine)), engine.connect() as connection:
        if not inspect(connection).has_table(_VERSION_TABLE):
            return None
        return connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608


def check_schema(engine: Engine, name: str) -> None:
    """Check the store's version. Raises InvalidStore when it was made by a newer version, or is not a store of ours."""
    foreign: list[str] = []
    revision = revision_of_store(engine)
    if revision is None:
        foreign = _tables(engine, name)
        revision = revision_of_store(engine)  # another process may have made them just now
    if revision is None:
        if foreign:
            raise InvalidStore(
                f"{name} is the database of another program: it holds the table {foreign[0]!r}"
            )
        return
    if revision not in known_revisions():
        raise InvalidStore(
            f"{name} was made by a newer Head Atlas: its schema is revision {revision}, "
            f"this version knows up to {revision_of_code()}"
        )


def _tables(engine: Engine, name: str) -> list[str]:
    """All tables but Alembic's own, which is empty in what a downgrade to nothing leaves."""
    with translated(name), engine.connect() as connection:
        return sorted(set(inspect(connection).get_table_names()) - {_VERSION_TABLE})


def check_current(engine: Engine, name: str) -> None:
    """Raise InvalidStore when the tables are missing, or older than this version needs."""
    store, code = revision_of_store(engine), revision_of_code()
    if store == code:
        return
    if store is None:
        raise InvalidStore(
            f"{name} is empty: it has no tables yet; run `head-atlas db upgrade`, or restore a backup"
        )
    raise InvalidStore(
        f"{name} is at schema revision {store}, this version needs {code}; run `head-atlas db upgrade`"
    )
