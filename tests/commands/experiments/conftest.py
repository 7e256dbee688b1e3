"""A tiny model, its atlas, and the experiment commands on a copy of that."""

import shutil
from pathlib import Path

import pytest

from app.precompute.job import run_job
from app.precompute.request import RunOptions
from tests.support.command_line import Command
from tests.support.experiment_commands import ExperimentCommands
from tests.support.tiny_jobs import Tiny, make_tiny


@pytest.fixture(scope="package")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("experiments"))


@pytest.fixture(scope="package")
def atlas(tiny: Tiny) -> Path:
    store = tiny.root / "store.sqlite"
    run_job(tiny.request(), str(store), RunOptions())
    return store


@pytest.fixture
def typed(tiny: Tiny, atlas: Path, tmp_path: Path, command: Command) -> ExperimentCommands:
    return ExperimentCommands(tiny, Path(shutil.copyfile(atlas, tmp_path / "store.sqlite")), command)
