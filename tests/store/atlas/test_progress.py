"""Progress of jobs: the newest state of each stage, newest stage first."""

from dataclasses import replace
from datetime import timedelta

from app.domain.records import JobProgress
from app.store.atlas.progress import fail_running, list_progress, report_progress
from app.store.database.engine import read_session, write_session
from tests.support.stored_runs import NOON

SHARDS = JobProgress("f1", "shards", 3, 10, "tokens", 812.5, NOON)
MERGE = JobProgress("f1", "merge", 0, None, "layers", None, NOON + timedelta(seconds=5))
OTHER = JobProgress("f2", "shards", 2**40, 2**41, "tokens", float("nan"), NOON + timedelta(seconds=1))


def report(engine, *reports):
    for one in reports:
        with write_session(engine) as session:
            report_progress(session, one)


def stages(engine, **options):
    with read_session(engine) as session:
        return list_progress(session, **options)


def test_the_newest_state_of_each_stage_is_kept(engine):
    assert stages(engine) == []
    later = replace(SHARDS, done=7, updated_at=NOON + timedelta(seconds=9))
    report(engine, SHARDS, MERGE, OTHER, later)
    assert stages(engine) == [later, MERGE, replace(OTHER, rate=None)]
    assert stages(engine, limit=1) == [later]


def test_what_a_dead_job_left_running_is_marked_failed(engine):
    report(engine, replace(SHARDS, state="done"), MERGE, OTHER)
    with write_session(engine) as session:
        fail_running(session, "f1")
    assert {(one.fingerprint, one.stage): one.state for one in stages(engine)} == {
        ("f1", "shards"): "done",
        ("f1", "merge"): "failed",
        ("f2", "shards"): "running",
    }
