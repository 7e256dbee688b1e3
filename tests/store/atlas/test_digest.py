"""The digest of a run's rows: equal for equal runs, another for any other value, the same on both engines."""

from app.store.atlas import writes as runs
from app.store.database.engine import open_store, write_session
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.store_digest import table_digest
from tests.support.stored_runs import publish


def test_equal_runs_give_equal_digests_whatever_the_way(make_store):
    ways = {
        "at once": lambda e: publish(e),
        "in batches": lambda e: publish(e, batches=4),
        "after another": lambda e: (publish(e, fingerprint="old", seed=9), publish(e)),
        "after a kill": lambda e: (publish_in_part(e), publish(e)),
    }
    digests = {}
    for name, way in ways.items():
        engine = open_store(make_store())
        way(engine)
        digests[name] = table_digest(engine)
        engine.dispose()
    assert len(set(digests.values())) == 1, digests


def publish_in_part(engine):
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record("f0"))
        runs.add_sequences(session, run_id, stored_runs.sequences(3))


def test_the_digest_notices_any_other_value(make_sqlite_store):
    digests = set()
    for change in (None, "seed", "fingerprint", "slug", "leftover", "vocabulary", "score"):
        engine = open_store(make_sqlite_store())
        publish(
            engine,
            "other" if change == "slug" else "tiny",
            "f2" if change == "fingerprint" else "f1",
            1 if change == "seed" else 0,
        )
        with write_session(engine) as session:
            if change == "leftover":
                runs.begin_run(session, "tiny", stored_runs.run_record())
            if change == "vocabulary":
                session.query(tables.VocabularyRow).update({"data": b"x"})
            if change == "score":
                session.query(tables.HeadScoreRow).filter_by(layer=1, head=1, name="entropy").update(
                    {"value": 0.125}
                )
        digests.add(table_digest(engine))
        engine.dispose()
    assert len(digests) == 7


def test_the_digest_does_not_see_reports(make_sqlite_store):
    digests = set()
    for seconds in (1.0, 2.0):
        engine = open_store(make_sqlite_store())
        with write_session(engine) as session:
            run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
            runs.go_live(session, run_id, stored_runs.report(seconds=seconds, executor=str(seconds)))
        digests.add(table_digest(engine))
        engine.dispose()
    assert len(digests) == 1


def test_f15_both_engines_give_one_digest(make_sqlite_store, make_postgres_store):
    digests = set()
    for make in (make_sqlite_store, make_postgres_store):
        engine = open_store(make())
        publish(engine)
        digests.add(table_digest(engine))
        engine.dispose()
    assert len(digests) == 1
