"""A job's files, a copy of them to change, and its plan."""

import shutil
from pathlib import Path

import pytest

from app.precompute.plan import RunPlan
from tests.support.changed_inputs import plan_of
from tests.support.tiny_jobs import Tiny, make_tiny


@pytest.fixture(scope="package")
def original(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("identity"), k=6)


@pytest.fixture
def tiny(original: Tiny, tmp_path: Path) -> Tiny:
    """A copy of one's own to change."""
    root = tmp_path / "copy"
    shutil.copytree(original.root, root)

    def moved(path: Path) -> Path:
        return root / path.relative_to(original.root)

    return Tiny(root, moved(original.model), tuple(map(moved, original.saes)), moved(original.text))


@pytest.fixture(scope="package")
def plan(original: Tiny) -> RunPlan:
    return plan_of(original)
