"""A small atlas of each test's own, its server, and a tab on it."""

import shutil

import pytest

from app.store.database.engine import open_store
from tests.support.annotation_page import RUN
from tests.support.browsing import open_tab, serving
from tests.support.run_data import publish


@pytest.fixture
def store(sqlite_template, tmp_path):
    path = shutil.copyfile(sqlite_template, tmp_path / "store.sqlite")
    engine = open_store(path)
    publish(engine, RUN)
    engine.dispose()
    return str(path)


@pytest.fixture
def address(store):
    with serving(store) as url:
        yield url


@pytest.fixture
def tab(chromium, address):
    visit = open_tab(chromium, address, viewport={"width": 1440, "height": 1000})
    yield visit
    visit.page.context.close()
    assert visit.errors == []
