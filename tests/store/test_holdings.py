"""What a store holds and who labelled it, and removing runs and atlases."""

import sys
from dataclasses import replace

import pytest
from sqlalchemy import func, select

import app.cli
from app.domain.annotations.records import FeatureNote, HeadAnnotation
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.store.atlas import writes
from app.store.atlas.reads import get_live_run
from app.store.checks import check_store
from app.store.database.engine import read_session, write_session
from app.store.holdings import HeldLabels, StillLabelled, get_held, list_held, remove_atlas, remove_run
from app.store.tables.atlas import Base
from tests.support.annotating import Team
from tests.support.run_data import make_run, publish


@pytest.fixture
def team(engine):
    made = Team(engine, ada={}, ben={}, root={"role": "admin"})
    publish(engine, replace(make_run(seed=2), slug="other"))
    made.save("ada", HeadAnnotation(notes="one"))
    made.save("ada", HeadAnnotation(notes="two"), base=1, status="draft")
    made.save("ada", FeatureNote("x"), FeatureRef(0, 3))
    made.save("ben", HeadAnnotation(), HeadRef(1, 0))
    made.save("root", HeadAnnotation(), for_consensus=True)
    return made


def held(engine, slug="tiny"):
    with read_session(engine) as session:
        return get_held(session, slug)


def rows(engine):
    with read_session(engine) as session:
        tables = Base.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) for table in tables}


def test_what_is_there_is_listed_with_who_labelled_it(team):
    run = make_run()
    with read_session(team.engine) as session:
        other, tiny = list_held(session)
    assert (other.slug, other.labels, other.n_revisions) == ("other", (), 0)
    assert tiny.labels == (
        HeldLabels("ada", 1, 1, 1),
        HeldLabels("ben", 1, 0, 1),
        HeldLabels("consensus", 1, 0, 1),
    )
    assert (tiny.n_revisions, tiny.n_experiments) == (5, 0)
    [only] = tiny.runs
    assert (only.fingerprint, only.live, only.n_saes) == (run.record.fingerprint, True, len(run.record.saes))
    assert (only.n_features, only.n_sequences) == (len(run.features), run.record.n_sequences)
    assert only.finished_at is not None


def test_a_run_goes_and_labels_stay(team):
    before = rows(team.engine)
    with write_session(team.engine) as session:
        tiny = get_held(session, "tiny")
        remove_run(session, tiny, tiny.run_of(make_run().record.fingerprint[:6]))
    after = held(team.engine)
    assert (after.runs, after.labels, after.n_revisions) == ((), tiny.labels, 5)
    assert rows(team.engine)["features"] == before["features"] - len(make_run().features)
    with pytest.raises(NotFound):
        team.read(get_live_run, "tiny")
    check_store(team.engine)
    publish(team.engine, make_run())
    assert held(team.engine) == tiny


def test_an_unfinished_run_is_listed_and_goes_alone(team):
    with write_session(team.engine) as session:
        writes.begin_run(session, "tiny", replace(make_run().record, fingerprint="9" * 64))
    unfinished = held(team.engine).run_of("99")
    assert (unfinished.live, unfinished.finished_at) == (False, None)
    with write_session(team.engine) as session:
        remove_run(session, get_held(session, "tiny"), unfinished)
    assert [run.live for run in held(team.engine).runs] == [True]


def test_an_atlas_that_people_have_labelled_is_kept_unless_its_labels_go_too(team):
    before = rows(team.engine)
    with (
        pytest.raises(StillLabelled, match=r"labelled by ada, ben, consensus \(5 saves\)"),
        write_session(team.engine) as session,
    ):
        remove_atlas(session, get_held(session, "tiny"), with_annotations=False)
    assert rows(team.engine) == before
    with write_session(team.engine) as session:
        remove_atlas(session, get_held(session, "tiny"), with_annotations=True)
        remove_atlas(session, get_held(session, "other"), with_annotations=False)
    left = rows(team.engine)
    assert {name: n for name, n in left.items() if n} == {"annotators": 4}
    check_store(team.engine)


def test_names_that_are_no_run_and_no_atlas(team):
    with pytest.raises(NotFound, match="no atlas 'nowhere'"):
        held(team.engine, "nowhere")
    for prefix, n in (("zz", "no run"), ("", "no run")):
        with pytest.raises(NotFound, match=f"has {n} that begin with"):
            held(team.engine).run_of(prefix)


def test_the_command(team, monkeypatch, capsys):
    store = str(team.engine.url.render_as_string(hide_password=False)).removeprefix("sqlite:///")
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def ended(*words):
        monkeypatch.setattr(sys, "argv", ["head-atlas", "db", "runs", *words, "--store", store])
        with pytest.raises(SystemExit) as stopped:
            app.cli.main()
        return stopped.value.code, capsys.readouterr()

    code, told = ended()
    fingerprint = make_run().record.fingerprint
    assert code == 0
    assert told.out.splitlines()[0] == "other"
    assert f"  run {fingerprint[:16]} (live, of " in told.out
    assert "  labelled by ada: 1 heads, 1 features; 1 submitted" in told.out
    before = rows(team.engine)
    assert "nothing is removed yet" in ended("--remove", "tiny")[1].out
    assert "nothing is removed yet" in ended("--remove", f"tiny/{fingerprint[:4]}")[1].out
    code, told = ended("--remove", "tiny", "--apply")
    assert (code, rows(team.engine)) == (3, before)
    assert "was labelled by ada, ben, consensus" in told.err
    assert ended("--remove", "none", "--apply")[0] == 2
    assert ended("--remove", f"tiny/{fingerprint[:4]}", "--apply")[1].out.endswith("removed\n")
    assert held(team.engine).runs == ()
    assert ended("--remove", "tiny", "--with-annotations", "--apply")[0] == 0
    left = rows(team.engine)
    assert (left["annotation_revisions"], left["annotators"]) == (0, 4)
