"""A store with an experiment of every kind, and a client of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.store.database.engine import open_store
from tests.support.experiment_results import store_experiments
from tests.support.serving import served


@pytest.fixture(scope="package")
def experiment_store(published: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    path = shutil.copyfile(published, tmp_path_factory.mktemp("experiments") / "store.sqlite")
    engine = open_store(path)
    ids = store_experiments(engine)
    engine.dispose()
    return str(path), ids


@pytest.fixture(scope="package")
def ids(experiment_store: tuple[str, dict[str, str]]) -> dict[str, str]:
    return experiment_store[1]


@pytest.fixture(scope="package")
def site(experiment_store: tuple[str, dict[str, str]]) -> Iterator[TestClient]:
    with TestClient(served(experiment_store[0]), follow_redirects=False) as opened:
        yield opened
