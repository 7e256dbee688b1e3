"""Whether a database is a store of ours, and of which version: asked each time one is opened."""

import pytest
from sqlalchemy import Engine

from app.errors import InvalidStore
from app.store.database import schema_versions
from app.store.database.engine import open_store


def test_tables_that_another_process_makes_while_a_store_is_opened_are_not_taken_for_foreign(
    make_store, monkeypatch
):
    address, asked = make_store(), list[object]()
    revision_of_store = schema_versions.revision_of_store

    def before_it_was_made(engine: Engine) -> str | None:
        asked.append(engine)
        return None if len(asked) == 1 else revision_of_store(engine)

    monkeypatch.setattr(schema_versions, "revision_of_store", before_it_was_made)
    open_store(address).dispose()
    assert len(asked) > 1


def test_a_database_of_another_program_is_refused_and_left_as_it_is(make_store):
    address = make_store(tables=False)
    engine = open_store(address)
    with engine.execution_options(head_atlas_writes=True).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER)")
    engine.dispose()
    with pytest.raises(InvalidStore, match="another program: it holds the table 'orders'"):
        open_store(address)
