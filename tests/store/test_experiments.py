"""Experiments in the store: each way to end, what replaces what, and what lists leave out."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.experiments.records import ExperimentRequest
from app.domain.refs import HeadRef
from app.errors import NotFound, StoreBusy
from app.store import experiments
from app.store.database.engine import read_session, write_session
from tests.support.stored_runs import NOON, counted_queries, publish

REQUEST = ExperimentRequest(
    atlas="tiny",
    name="head-ablation",
    parameters={"layer": 2, "tasks": ["induction"], "note": "zwölf ☃"},
    seed=7,
    model_name="org/Tiny",
    model_revision="main",
    processing="raw",
    run="f1",
    software="0.1.0",
)
RESULT = {"version": 1, "result": {"x": [0.1, None]}}
HEADS = {HeadRef(2, 1): "stands out", HeadRef(2, 0): "does not"}


@pytest.fixture
def store(engine):
    publish(engine)
    return engine


def begin(engine, request=REQUEST, now=NOON):
    with write_session(engine) as session:
        return experiments.begin(session, request, now)


def finish(engine, experiment_id):
    with write_session(engine) as session:
        experiments.finish(session, experiment_id, 1.5, "found", HEADS, RESULT)


def read(engine, experiment_id=REQUEST.id):
    with read_session(engine) as session:
        return experiments.get_experiment(session, "tiny", experiment_id)


def test_what_was_asked_comes_back_in_every_state(store):
    assert begin(store) == REQUEST.id
    running = read(store)
    assert (running.request, running.state, running.created_at) == (REQUEST, "running", NOON)
    assert (running.seconds, running.finding, running.result) == (None, "", None)
    finish(store, REQUEST.id)
    done = read(store)
    assert (done.state, done.seconds, done.finding, done.result) == ("done", 1.5, "found", RESULT)
    begin(store)  # another attempt: the old result is gone with its findings
    with write_session(store) as session:
        experiments.fail(session, REQUEST.id, 0.5, "no such thing")
        assert experiments.findings_of(session, "tiny", HeadRef(2, 1)) == []
    failed = read(store)
    assert (failed.state, failed.message, failed.result) == ("failed", "no such thing", None)


def test_only_a_running_experiment_can_end(store):
    begin(store)
    finish(store, REQUEST.id)
    with pytest.raises(StoreBusy, match="another process"):
        finish(store, REQUEST.id)
    with pytest.raises(StoreBusy), write_session(store) as session:
        experiments.fail(session, "unknown", 1.0, "x")
    assert read(store).state == "done"


def test_what_is_rolled_back_leaves_nothing(store):
    def crash_while_finishing():
        with write_session(store) as session:
            experiments.finish(session, REQUEST.id, 1.5, "found", HEADS, RESULT)
            raise ZeroDivisionError

    begin(store)
    with pytest.raises(ZeroDivisionError):
        crash_while_finishing()
    assert read(store).state == "running"
    with read_session(store) as session:
        assert experiments.findings_of(session, "tiny", HeadRef(2, 1)) == []


def test_an_invalid_request_is_forgotten(store):
    begin(store)
    with write_session(store) as session:
        experiments.forget(session, REQUEST.id)
        assert experiments.find(session, REQUEST.id) is None


def test_the_findings_of_a_head_are_the_newest_first(store):
    later = replace(REQUEST, seed=8)
    finish(store, begin(store))
    finish(store, begin(store, later, NOON + timedelta(hours=1)))
    begin(store, replace(REQUEST, seed=9), NOON + timedelta(hours=2))
    with counted_queries(store) as queries, read_session(store) as session:
        found = experiments.findings_of(session, "tiny", HeadRef(2, 1))
        listed = experiments.list_experiments(session, "tiny")
    assert [(one.experiment.id, one.finding) for one in found] == [
        (later.id, "stands out"),
        (REQUEST.id, "stands out"),
    ]
    assert [one.request.seed for one in listed] == [9, 8, 7]
    assert all(one.result is None for one in listed)
    assert len(queries) == 2
    assert not any("result" in query for query in queries)


def test_a_head_with_many_findings_leaves_those_of_others_their_places(store):
    busy, quiet = HeadRef(2, 1), HeadRef(2, 0)

    def finish_with(hours, *heads):
        asked = replace(REQUEST, seed=100 + hours)
        begin(store, asked, NOON + timedelta(hours=hours))
        with write_session(store) as session:
            experiments.finish(session, asked.id, 1.0, "x", dict.fromkeys(heads, str(hours)), RESULT)

    for hours in (0, 1, 2):
        finish_with(hours, busy, quiet)
    for hours in range(3, 8):
        finish_with(hours, busy)
    with read_session(store) as session:
        found = experiments.findings_of(session, "tiny", busy, quiet, limit=2)
        three = experiments.findings_of(session, "tiny", quiet, busy, limit=3)
    assert [(one.head, one.finding) for one in found] == [
        (busy, "7"),
        (busy, "6"),
        (quiet, "2"),
        (quiet, "1"),
    ]
    assert [one.finding for one in three if one.head == quiet] == ["2", "1", "0"]
    assert [one.finding for one in three if one.head == busy] == ["7", "6", "5"]


def test_an_experiment_belongs_to_its_atlas(store):
    publish(store, "other")
    begin(store)
    with read_session(store) as session:
        assert experiments.list_experiments(session, "other") == []
        with pytest.raises(NotFound, match="other"):
            experiments.get_experiment(session, "other", REQUEST.id)
        with pytest.raises(NotFound):
            experiments.get_experiment(session, "tiny", "nothing")
    with pytest.raises(NotFound, match="no atlas"):
        begin(store, replace(REQUEST, atlas="missing"))


def test_a_new_run_of_the_atlas_keeps_its_experiments(store):
    finish(store, begin(store))
    publish(store, fingerprint="f2", seed=1)
    assert read(store).state == "done"


def test_ids_are_short_and_follow_the_request():
    assert len(REQUEST.id) == 10
    assert REQUEST.id == replace(REQUEST, parameters=dict(reversed(REQUEST.parameters.items()))).id
    for change in ({"seed": 8}, {"run": "f2"}, {"software": "0.2"}, {"parameters": {}}, {"atlas": "b"}):
        assert replace(REQUEST, **change).id != REQUEST.id


def test_the_newest_of_every_other_atlas_comes_with_its_result(store):
    for slug in ("a", "b"):
        publish(store, slug)
    for hours, request in enumerate(
        (
            REQUEST,
            replace(REQUEST, atlas="b"),
            replace(REQUEST, atlas="a"),
            replace(REQUEST, atlas="a", seed=8),
        )
    ):
        finish(store, begin(store, request, NOON + timedelta(hours=hours)))
    begin(store, replace(REQUEST, atlas="b", seed=9), NOON + timedelta(hours=9))
    with read_session(store) as session:
        found = experiments.newest_elsewhere(session, "tiny", REQUEST.name, 5)
        assert [(one.request.atlas, one.request.seed, one.result) for one in found] == [
            ("a", 8, RESULT),
            ("b", 7, RESULT),
        ]
        assert experiments.newest_elsewhere(session, "tiny", "universality", 5) == []
