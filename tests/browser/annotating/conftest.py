"""A small atlas of each test's own, its server, and a tab on it."""

import pytest

from tests.support.annotation_page import RUN
from tests.support.browsing import open_tab, serving
from tests.support.run_data import store_with


@pytest.fixture
def store(sqlite_template, tmp_path):
    return store_with(sqlite_template, tmp_path, RUN)


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
