"""Which experiments can be run on an atlas: the commands, and how long each is said to take."""

import shlex
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, update
from typer.testing import CliRunner

from app import cli
from app.domain.experiments.registry import KINDS
from app.domain.records import COMPUTE, JobProgress
from app.errors import InvalidStore
from app.services.experiments.models import RunnableExperiment
from app.services.experiments.page import experiments_page
from app.services.reading.context import AtlasContext
from app.store.atlas.progress import report_progress
from app.store.atlas.reads import get_live_run
from app.store.database.engine import read_session, write_session
from app.store.tables.atlas import RunReportRow
from tests.support.experiment_results import store_experiments
from tests.support.run_data import StoredRun, make_run, publish, without_saes

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RATE = 40.0


def listed(engine: Engine, slug: str = "tiny") -> dict[str, RunnableExperiment]:
    with read_session(engine) as session:
        page = experiments_page(AtlasContext(session, get_live_run(session, slug)))
    return {one.name: one for one in page.runnable}


def report_rate(engine: Engine, run: StoredRun) -> None:
    row = JobProgress(run.record.fingerprint, COMPUTE, 9, 9, "tokens", RATE, NOON, "done")
    with write_session(engine) as session:
        report_progress(session, row)


def test_every_kind_is_listed_with_its_purpose(engine: Engine, run: StoredRun) -> None:
    found = listed(engine)
    assert list(found) == list(KINDS)
    assert {name: one.purpose for name, one in found.items()} == {
        name: kind.purpose for name, kind in KINDS.items()
    }


def test_commands_are_about_the_strongest_induction_head(engine: Engine, run: StoredRun) -> None:
    with_saes = [head for head in run.heads if head.ref.layer in (0, 2)]
    strongest = max(with_saes, key=lambda head: head.scores["induction"]).ref
    feature = run.rankings[strongest, "decoder_weight"].features[0].ref
    words = {
        "long-prefix-induction": f" --heads {strongest}",
        "head-ablation": f" --layer {strongest.layer}",
        "known-heads": "",
        "weight-vs-fve": "",
        "universality": "",
        "polysemanticity": f" --head {strongest} --roles induction",
        "feature-check": f" --feature {feature} --proxy induction --sae-path FOLDER",
    }
    commands = {name: one.command for name, one in listed(engine).items()}
    assert commands == {
        name: f"head-atlas experiment {name} --model org/Tiny{subject}" for name, subject in words.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_program_takes_each_command(engine: Engine, name: str) -> None:
    publish(engine, make_run("other"))
    words = shlex.split(listed(engine, "other")[name].command)
    assert words[-2:] == ["--name", "other"]
    done = CliRunner().invoke(cli.app, [*words[1:], "--store", "/nowhere/at-all.sqlite"])
    assert isinstance(done.exception, InvalidStore)  # all that it still lacks


def test_times_follow_from_the_rate_of_the_atlas_s_own_job(engine: Engine, run: StoredRun) -> None:
    assert {one.expected_seconds for name, one in listed(engine).items() if name != "weight-vs-fve"} == {None}
    report_rate(engine, run)
    found = {name: one.expected_seconds for name, one in listed(engine).items()}
    text, context, n_passes = 12 * 48, 48, 2 + 4 * (1 + 1 + 3)  # twelve sequences, four heads
    assert found == {
        "long-prefix-induction": pytest.approx((76 * 10 * 48 + text + 100 * 4 * context) / RATE),
        "head-ablation": pytest.approx(60 * (12 + 18 + 7 + 41 + 41 + context) * n_passes / RATE),
        "known-heads": pytest.approx((64 * 129 + 2 * text) / RATE),
        "weight-vs-fve": 0,
        "universality": pytest.approx(60 * 5 * 32 / RATE),
        "polysemanticity": pytest.approx(60 * 41 * n_passes / RATE),
        "feature-check": pytest.approx(text / RATE),
    }


def test_workers_of_the_job_are_not_those_of_an_experiment(engine: Engine) -> None:
    run = make_run()
    publish(engine, run)
    report_rate(engine, run)
    alone = listed(engine)["universality"].expected_seconds
    with write_session(engine) as session:
        session.execute(update(RunReportRow).values(workers=4))
    assert alone is not None
    assert listed(engine)["universality"].expected_seconds == pytest.approx(4 * alone)


def test_what_has_been_run_says_how_long_it_took(engine: Engine, run: StoredRun) -> None:
    assert {one.last_seconds for one in listed(engine).values()} == {None}
    store_experiments(engine)
    # Those that rest on roles are not shown to a viewer without records.
    assert {name for name, one in listed(engine).items() if one.last_seconds == 12.5} == {
        name for name, kind in KINDS.items() if not kind.needs_roles
    }


def test_without_features_two_cannot_be_run(engine: Engine) -> None:
    publish(engine, without_saes(make_run()))
    lacking = {name: (one.command, one.lacks) for name, one in listed(engine).items() if one.lacks}
    assert lacking == dict.fromkeys(("weight-vs-fve", "feature-check"), ("", "the atlas has no features"))
