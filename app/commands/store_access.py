"""What commands open: the settings, the store and the server."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from app.extras import need
from app.settings import Settings

if TYPE_CHECKING:
    from app.store.database.engine import Engine


def settings_of(**arguments: Any) -> Settings:  # Any: each setting has its own type, which pydantic checks
    """The settings, with what was given on the command line in their place."""
    return Settings(**{name: value for name, value in arguments.items() if value is not None})


def opened_store(store: str | None, to_read: bool = False) -> "Engine":
    """An existing store, brought up to date. to_read: it may be read-only."""
    from app.store.opening import open_migrated

    return open_migrated(settings_of(store=store).store, must_exist=True, to_read=to_read, say=tell)


def tell(words: str) -> None:
    """Say something beside the command's own output."""
    typer.echo(words, err=True)


def check_ready(command: str, settings: Settings, slug: str) -> None:
    """Check, before the model libraries are imported, what would refuse the job later. Raises AppError."""
    need("precompute", command)
    from app.precompute.work_folder import WorkFolder
    from app.store.opening import upgrade_notice

    WorkFolder(settings.work_dir / slug).check_free()
    notice = upgrade_notice(settings.store)
    if notice is not None:
        tell(notice)


def check_atlas(command: str, settings: Settings, slug: str) -> None:
    """Check, before the model libraries are imported, that the store has the atlas. Raises AppError."""
    need("precompute", command)
    from app.store.atlas.reads import get_live_run
    from app.store.database.engine import read_session
    from app.store.opening import migrated_store

    with migrated_store(settings.store, must_exist=True, say=tell) as engine, read_session(engine) as session:
        get_live_run(session, slug)


def run_server(settings: Settings, open_to_network: bool = False) -> None:
    """Serve until stopped."""
    with _nothing_collected():
        from app.log import configure_logging
        from app.web.server import make_application, serve

        configure_logging(settings.log_level)
        application = make_application(settings, open_to_network)
    typer.echo(f"serving on http://{settings.host}:{settings.port}", err=True)
    serve(application, settings)


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Switch the garbage collector off for a start-up, whose objects nearly all stay: it takes a fifth of the time.

    Afterwards none of them is looked at again, nor what was garbage before.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
