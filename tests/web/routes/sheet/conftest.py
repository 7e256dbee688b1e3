"""A team whose members have annotated an atlas: one that all tests of a module read, and one of a test's own."""

import shutil
from contextlib import ExitStack

import pytest

from tests.support.annotated_site import team_of
from tests.support.logins import logged_in


@pytest.fixture(scope="package")
def shared(published, tmp_path_factory):
    """A store with what a team has said, and logins of root and ben, for tests that only read."""
    path = str(shutil.copyfile(published, tmp_path_factory.mktemp("team") / "store.sqlite"))
    team = team_of(path)
    with logged_in(team, "root") as root, logged_in(team, "ben") as ben:
        yield path, root, ben


@pytest.fixture
def shared_store(shared):
    return shared[0]


@pytest.fixture
def root(shared):
    return shared[1]


@pytest.fixture
def ben(shared):
    return shared[2]


@pytest.fixture
def own(store):
    """(store, name -> login) of a team that a test may add to."""
    team = team_of(store)
    with ExitStack() as opened:
        yield store, lambda name: opened.enter_context(logged_in(team, name))
