"""A small published run, and the read context of its atlas."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from app.services.reading.context import AtlasContext
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session
from tests.support.run_data import StoredRun, make_run, publish


@pytest.fixture
def run(engine: Engine) -> StoredRun:
    return publish(engine, make_run())


@pytest.fixture
def context(engine: Engine, run: StoredRun) -> Iterator[AtlasContext]:
    with read_session(engine) as session:
        yield AtlasContext(session, get_live_run(session, run.slug))
