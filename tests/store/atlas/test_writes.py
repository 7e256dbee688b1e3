"""Writing whole runs, on both engines: what goes in comes out, and what may not go in is refused."""

from dataclasses import replace
from datetime import timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import func, select

from app.domain.records import AtlasRecord
from app.domain.slugs import InvalidSlug
from app.errors import StoreBusy
from app.store.atlas import features, reads
from app.store.atlas import writes as runs
from app.store.database.engine import open_store, read_session, write_session
from app.store.migrate import upgrade
from app.store.tables import atlas as tables
from tests.support import stored_runs
from tests.support.store_digest import table_digest
from tests.support.stored_runs import assert_same, publish


def test_a_published_run_reads_back_whole(engine):
    publish(engine)
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        assert_same(run.record, stored_runs.run_record())
        assert_same(reads.list_atlases(session), [AtlasRecord("tiny", stored_runs.run_record())])
        assert_same(reads.get_heads(session, run), stored_runs.heads())
        for ranking in stored_runs.rankings():
            assert_same(reads.get_ranking(session, run, ranking.head, ranking.ranking, 50), ranking)
        made = stored_runs.features()
        assert_same(features.get_features(session, run, [f.ref for f in made], with_examples=True), made)
        found = reads.get_sequences(session, run, np.array([4, 0, 4], np.int32))
        assert_same(found, {i: stored_runs.sequences()[i] for i in (0, 4)})
        vocabulary = reads.get_vocabulary(session, run)
        assert (vocabulary.checksum, vocabulary.blob) == (
            stored_runs.VOCABULARY_CHECKSUM,
            stored_runs.VOCABULARY,
        )
        assert_same(reads.get_report(session, run), stored_runs.report())


def test_f16_times_keep_their_moment_in_any_zone(engine):
    publish(engine)
    east = timezone(timedelta(hours=9, minutes=30))
    made = stored_runs.report(created_at=stored_runs.NOON.astimezone(east))
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record("f2"))
        runs.go_live(session, run_id, made)
    with read_session(engine) as session:
        found = reads.get_report(session, reads.get_live_run(session, "tiny"))
    assert found.created_at == stored_runs.NOON
    assert found.created_at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(engine):
    naive = stored_runs.report(created_at=stored_runs.NOON.replace(tzinfo=None))
    with pytest.raises(Exception, match="no time zone"), write_session(engine) as session:
        runs.go_live(session, runs.begin_run(session, "tiny", stored_runs.run_record()), naive)


def test_a_run_that_is_not_live_is_not_seen_and_its_leftovers_go(engine):
    publish(engine)
    with write_session(engine) as session:
        killed = runs.begin_run(session, "tiny", stored_runs.run_record("f2"))
        runs.add_heads(session, killed, stored_runs.heads(1))
        runs.add_features(session, killed, stored_runs.features(1))
    with read_session(engine) as session:
        assert reads.find_live_fingerprint(session, "tiny") == "f1"
        assert reads.get_live_run(session, "tiny").record.fingerprint == "f1"
    publish(engine, fingerprint="f2", seed=1)
    with pytest.raises(StoreBusy), write_session(engine) as session:
        runs.add_heads(session, killed, stored_runs.heads())
    assert count_runs(engine) == {"runs": 1, "run_reports": 1, "saes": 2, "heads": 12, "features": 12}
    with read_session(engine) as session:
        assert reads.find_live_fingerprint(session, "tiny") == "f2"
        assert reads.find_live_fingerprint(session, "other") is None


def test_a10_a_job_whose_run_another_removed_never_writes_into_the_others(engine):
    with write_session(engine) as session:
        removed = runs.begin_run(session, "tiny", stored_runs.run_record("f1"))
        runs.add_heads(session, removed, stored_runs.heads(1))
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record("f2"))
        runs.add_heads(session, run_id, stored_runs.heads(1))
    assert run_id != removed
    with pytest.raises(StoreBusy, match="another job has taken its place"), write_session(engine) as session:
        runs.add_features(session, removed, stored_runs.features(1))
    assert count_runs(engine)["features"] == 0


def count_runs(engine):
    with read_session(engine) as session:
        of = (tables.RunRow, tables.RunReportRow, tables.SaeRow, tables.HeadRow, tables.FeatureRow)
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in of}


def go_live_and_fail(session):
    run_id = runs.begin_run(session, "tiny", stored_runs.run_record("f2"))
    runs.add_vocabulary(session, run_id, "v2", b"other")
    runs.go_live(session, run_id, stored_runs.report())
    raise ZeroDivisionError


def test_a04_going_live_that_fails_changes_nothing(engine):
    publish(engine)
    before = table_digest(engine)
    with pytest.raises(ZeroDivisionError), write_session(engine) as session:
        go_live_and_fail(session)
    assert table_digest(engine) == before


def test_vocabularies_are_shared_and_removed_with_their_last_run(engine):
    publish(engine, "one")
    publish(engine, "two", "f2")
    for slug, left in (("one", {stored_runs.VOCABULARY_CHECKSUM, "v2"}), ("two", {"v2"})):
        with write_session(engine) as session:
            run_id = runs.begin_run(session, slug, stored_runs.run_record("f3"))
            runs.add_vocabulary(session, run_id, "v2", b"other")
            runs.go_live(session, run_id, stored_runs.report())
        with read_session(engine) as session:
            assert set(session.scalars(select(tables.VocabularyRow.checksum))) == left


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_is_refused(engine, value):
    head = replace(stored_runs.heads()[0], scores={"induction": value})
    with pytest.raises(Exception, match="not a finite number"), write_session(engine) as session:
        runs.add_heads(session, runs.begin_run(session, "tiny", stored_runs.run_record()), [head])


def test_nan_means_none_where_there_may_be_none(engine):
    nan = float("nan")
    heads = [replace(stored_runs.heads()[0], rank_correlation=nan, concentration=np.float32(0.25))]
    made = stored_runs.features()[1]
    fve = replace(made.fve_active, r_squared=np.array([0.5, nan, nan, 0.25]))
    made = replace(made, fve_active=fve)
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
        runs.add_heads(session, run_id, heads)
        runs.add_features(session, run_id, [made])
        runs.go_live(session, run_id, stored_runs.report())
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        found = reads.get_heads(session, run)[0]
        assert_same(features.get_feature(session, run, made.ref), made)
    assert (found.rank_correlation, found.concentration) == (None, 0.25)


def test_examples_without_the_sum_over_heads_come_back_so(engine):
    made = stored_runs.features()[1]
    made = replace(made, examples=replace(made.examples, summed=None))
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
        runs.add_features(session, run_id, [made])
        runs.go_live(session, run_id, stored_runs.report())
    with read_session(engine) as session:
        assert_same(features.get_feature(session, reads.get_live_run(session, "tiny"), made.ref), made)


def test_nan_in_a_block_is_refused(engine):
    made = stored_runs.features()[0]
    share = made.decoder_weight_share.copy()
    share[1] = np.nan
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", stored_runs.run_record())
        with pytest.raises(ValueError, match="decoder_weight_share of L0F1"):
            runs.add_features(session, run_id, [replace(made, decoder_weight_share=share)])


def test_numbers_of_numpy_are_stored_as_numbers(engine):
    record = stored_runs.run_record()
    record = replace(record, n_tokens=np.int64(2**40), context_size=np.int32(16))
    with write_session(engine) as session:
        run_id = runs.begin_run(session, "tiny", record)
        runs.go_live(session, run_id, stored_runs.report(seconds=np.float32(1.5), workers=np.int8(2)))
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        assert (run.record.n_tokens, run.record.context_size) == (2**40, 16)
        assert reads.get_report(session, run).seconds == 1.5


@pytest.mark.parametrize("slug", ["static", "Tiny", "a b", "", "-a", "x" * 81, "a/b", "тест"])
def test_a_name_that_cannot_be_an_address_is_refused(engine, slug):
    with pytest.raises(InvalidSlug), write_session(engine) as session:
        runs.begin_run(session, slug, stored_runs.run_record())
    with read_session(engine) as session:
        assert reads.list_atlases(session) == []


def test_a_publish_works_on_postgres(make_postgres_store):
    """The one test of the fast suite that starts the team store."""
    engine = open_store(make_postgres_store(tables=False))
    upgrade(engine)
    publish(engine)
    with read_session(engine) as session:
        run = reads.get_live_run(session, "tiny")
        made = stored_runs.features()
        assert_same(features.get_features(session, run, [f.ref for f in made], with_examples=True), made)
    engine.dispose()
