"""The list of atlases, and how far the first one is until there is one."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from app.domain.records import JobProgress
from app.services.atlas.models import IndexPage
from app.services.atlas.page import index_page
from app.store.atlas.progress import report_progress
from app.store.database.engine import read_session, write_session
from tests.support.run_data import make_run, publish
from tests.support.stored_runs import NOON

COMPUTE = JobProgress("f1", "compute", 300, 900, "tokens", 20.0, NOON)


def page_with(engine: Engine, *reports: JobProgress) -> IndexPage:
    for report in reports:
        with write_session(engine) as session:
            report_progress(session, report)
    with read_session(engine) as session:
        return index_page(session)


def test_an_empty_store_has_no_atlas_and_no_stages(engine: Engine) -> None:
    page = page_with(engine)
    assert (page.has_published, page.stages, page.jobs) == (False, (), ())


@pytest.mark.parametrize(
    ("report", "states"),
    [
        (JobProgress("", "prepare", 0, None, "", None, NOON), ["running", "waiting", "waiting", "waiting"]),
        (COMPUTE, ["done", "running", "waiting", "waiting"]),
        (replace(COMPUTE, state="failed"), ["done", "failed", "waiting", "waiting"]),
        (replace(COMPUTE, stage="publish"), ["done", "done", "done", "running"]),
    ],
)
def test_the_stages_of_a_job(engine: Engine, report: JobProgress, states: list[str]) -> None:
    stages = page_with(engine, report).stages
    assert [stage.name for stage in stages] == ["prepare", "compute", "examples", "publish"]
    assert [stage.state for stage in stages] == states
    assert [stage.name for stage in stages if stage.job is not None] == [report.stage]


def test_the_stage_under_way_says_how_long_it_takes(engine: Engine) -> None:
    (job,) = page_with(engine, COMPUTE).jobs
    assert job.left_s == 30
    later = replace(COMPUTE, rate=None, updated_at=NOON + timedelta(seconds=1))
    (job,) = page_with(engine, later).jobs
    assert job.left_s is None


def test_other_work_is_no_stage_of_a_precompute_job(engine: Engine) -> None:
    page = page_with(engine, replace(COMPUTE, stage="ablate"))
    assert (len(page.jobs), page.stages) == (1, ())


def test_with_an_atlas_the_next_job_is_in_the_rail_only(engine: Engine) -> None:
    publish(engine, make_run(seed=3))
    page = page_with(engine, COMPUTE)
    assert (page.has_published, page.stages, len(page.jobs)) == (True, (), 1)
