"""A served store with one small run, and clients that are and are not htmx."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from app.store.database.engine import open_store
from app.web.page_cache import PageCache
from tests.conftest import ENGINES
from tests.support.annotated_site import team_of
from tests.support.run_data import StoredRun, make_run, publish
from tests.support.serving import served


@pytest.fixture(scope="session")
def run() -> StoredRun:
    return make_run()


@pytest.fixture
def empty_store(make_sqlite_store: Callable[..., str]) -> str:
    return make_sqlite_store()


@pytest.fixture(scope="session")
def published(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, run: StoredRun) -> Path:
    """A store with the run in it, to copy."""
    path = tmp_path_factory.mktemp("published") / "store.sqlite"
    shutil.copyfile(sqlite_template, path)
    engine = open_store(path)
    publish(engine, run)
    engine.dispose()
    return path


@pytest.fixture
def store(published: Path, tmp_path: Path) -> str:
    return str(shutil.copyfile(published, tmp_path / "published.sqlite"))


@pytest.fixture(params=ENGINES)
def store_of_each_engine(
    request: pytest.FixtureRequest, published: Path, tmp_path: Path, run: StoredRun
) -> str:
    """A store of the test's own with the run in it: the test runs once on each engine."""
    if request.param == "sqlite":
        return str(shutil.copyfile(published, tmp_path / "published.sqlite"))
    address = request.getfixturevalue("make_postgres_store")()
    engine = open_store(address)
    publish(engine, run)
    engine.dispose()
    return address


@pytest.fixture
def team(store: str) -> Iterator[FastAPI]:
    """A served team that has said something of the store's heads."""
    app = team_of(store)
    yield app
    app.state.app_context.close()


@pytest.fixture
def store_engine(store: str) -> Iterator[Engine]:
    """Connections to that store beside those of its server."""
    engine = open_store(store)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def app(published: Path) -> FastAPI:
    """Shared, since compiling the templates takes longer than most tests: nothing may be published through it."""
    return served(str(published))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    app.state.app_context.pages = PageCache()  # no test sees a page that another has had built
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def local(store: str) -> Iterator[TestClient]:
    """The local annotator's browser, without scripts, on a store of the test's own."""
    with TestClient(served(store), follow_redirects=False, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def site_engine(app: FastAPI) -> Engine:
    return app.state.app_context.engine
