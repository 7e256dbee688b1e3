"""Ids that are known outside of the store are given once, whatever is removed: on SQLite as on Postgres."""

from dataclasses import replace

import pytest
from sqlalchemy import inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from app.domain.annotations.records import HeadAnnotation
from app.errors import StoreBusy
from app.store import migrate
from app.store.atlas import writes
from app.store.atlas.reads import get_live_run
from app.store.database.engine import open_store, read_session, write_session
from app.store.holdings import get_held, remove_atlas, remove_run
from app.store.tables.annotations import RevisionRow
from app.store.tables.atlas import AtlasRow, Base, RunRow
from tests.support import stored_runs
from tests.support.annotating import Team
from tests.support.migrations import downgrade, schema_differences
from tests.support.run_data import make_run, publish
from tests.support.store_digest import table_digest

ONCE = ("annotation_revisions", "atlases", "runs")


def ids(engine, row):
    with read_session(engine) as session:
        return set(session.scalars(select(row.id)))


def begin(engine, fingerprint):
    with write_session(engine) as session:
        return writes.begin_run(session, "tiny", replace(make_run().record, fingerprint=fingerprint * 64))


def remove_newest(engine, fingerprint):
    with write_session(engine) as session:
        tiny = get_held(session, "tiny")
        remove_run(session, tiny, tiny.run_of(fingerprint * 64))


def test_a10_a_job_whose_run_was_removed_by_hand_never_writes_into_the_next_ones(engine):
    removed = begin(engine, "a")
    remove_newest(engine, "a")
    later = begin(engine, "b")
    assert later > removed
    with pytest.raises(StoreBusy), write_session(engine) as session:
        writes.add_heads(session, removed, stored_runs.heads(1))
    remove_newest(engine, "b")
    publish(engine, make_run())
    with read_session(engine) as session:
        assert get_live_run(session, "tiny").id > later


def test_an_atlas_that_is_removed_and_made_again_has_no_id_of_before(engine):
    team = Team(engine, ada={})
    before: dict[type, set[int]] = {row: set() for row in (AtlasRow, RunRow, RevisionRow)}
    for _ in range(3):
        publish(engine, make_run())
        team.save("ada", HeadAnnotation(notes="one"))
        for row, seen in before.items():
            now = ids(engine, row)
            assert now
            assert not now & seen
            seen |= now
        with write_session(engine) as session:
            remove_atlas(session, get_held(session, "tiny"), with_annotations=True)


def test_an_upgrade_gives_ids_once_and_keeps_every_row(engine):
    team = Team(engine, ada={})
    team.save("ada", HeadAnnotation(notes="one"))
    downgrade(engine, "0010")  # documents came later, and go with their column
    before = table_digest(engine)
    downgrade(engine, "0009")
    assert table_digest(engine) == before
    migrate.upgrade(engine)
    assert table_digest(engine) == before
    assert schema_differences(engine) == []
    last = max(ids(engine, RunRow))
    begin(engine, "a")
    remove_newest(engine, "a")
    assert begin(engine, "b") > last + 1


def test_a_rebuilt_table_checks_and_finds_what_it_did(make_sqlite_store):
    engine = open_store(make_sqlite_store())
    publish(engine, make_run())
    downgrade(engine, "0009")
    parts = {name: shape(engine, name) for name in ONCE}
    migrate.upgrade(engine)
    assert {name: shape(engine, name) for name in ONCE} == parts
    with engine.connect() as connection:
        made = dict(
            connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
        )
    assert {name for name, sql in made.items() if "AUTOINCREMENT" in sql} == set(ONCE)
    tables = Base.metadata.tables.values()
    assert {table.name for table in tables if table.dialect_options["sqlite"]["autoincrement"]} == set(ONCE)
    for wrong in ({"state": "odd"}, {"atlas_id": 99}):
        with pytest.raises(IntegrityError), write_session(engine) as session:
            session.execute(update(RunRow).values(wrong))
    engine.dispose()


def shape(engine, name):
    """What a table has beside its ids: columns, keys, checks and indexes."""
    seen = inspect(engine)
    columns = [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(name)]
    return (
        columns,
        seen.get_pk_constraint(name)["constrained_columns"],
        sorted(map(repr, seen.get_foreign_keys(name))),
        sorted(map(repr, seen.get_indexes(name))),
        sorted(map(repr, seen.get_unique_constraints(name))),
        sorted(map(repr, seen.get_check_constraints(name))),
    )
