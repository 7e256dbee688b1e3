"""The same tab, behind a connection that a test makes slow."""

import pytest

from tests.support.slow_connections import serving_slowly


@pytest.fixture
def slow_server(store):
    with serving_slowly(store) as (address, connection):
        yield address, connection


@pytest.fixture
def address(slow_server):
    return slow_server[0]


@pytest.fixture
def connection(slow_server):
    return slow_server[1]
