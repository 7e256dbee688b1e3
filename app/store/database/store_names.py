"""A store's path or address as it is told to people."""

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from app.store.database.postgres import display


def store_name(engine: Engine) -> str:
    """The store's path or address, without a password."""
    return name_of_url(engine.url)


def name_of_url(url: URL) -> str:
    """The path of a SQLite file, else the address without its secrets."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return display(url.set(drivername="postgresql"))
