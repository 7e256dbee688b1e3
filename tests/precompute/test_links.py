"""A work folder whose files are links: nothing is written where they point."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.adapters.sealed_folders import read_sealed_folder, seal_folder
from app.commands.files import write_whole
from app.errors import AppError
from app.precompute.array_files import read_arrays, write_arrays
from app.precompute.partial_files import SealedHeader, open_sealed, write_sealed
from app.precompute.plan import RunPlan
from app.precompute.work_folder import WorkFolder
from app.training.recipe import write_json
from tests.support.small_job import PLAN

KEPT = "of somebody else\n"
Use = Callable[[WorkFolder], None]


def lock(folder: WorkFolder) -> None:
    with folder.locked():
        pass


@pytest.mark.parametrize("use", [lock, WorkFolder.check_free])
@pytest.mark.parametrize("there", [True, False], ids=["to a file", "dangling"])
def test_a_lock_that_is_a_link_is_refused_in_a_sentence(tmp_path: Path, use: Use, there: bool) -> None:
    folder, other = WorkFolder(tmp_path / "work"), tmp_path / "other"
    folder.root.mkdir()
    if there:
        other.write_text(KEPT)
    link = folder.root / "lock"
    link.symlink_to(other)
    with pytest.raises(AppError) as refused:
        use(folder)
    assert str(refused.value) == f"{link} is a link, and a job writes to no file through one; remove it"
    assert other.exists() == there
    assert not there or other.read_text() == KEPT
    link.unlink()
    lock(folder)
    assert f'"pid": {os.getpid()}' in link.read_text()


def plan(path: Path) -> None:
    PLAN.save(path)
    assert RunPlan.load(path) == PLAN


def partial(path: Path) -> None:
    write_sealed(path, SealedHeader("plan", (1,)), {})
    assert open_sealed(path).header.shards == (1,)


def arrays(path: Path) -> None:
    write_arrays(path, {"a": np.arange(3)})
    assert read_arrays(path)["a"].tolist() == [0, 1, 2]


def manifest(path: Path) -> None:
    seal_folder(path.parent, path.name, {"name": "a"})
    assert read_sealed_folder(path.parent, path.name)["name"] == "a"


def recipe(path: Path) -> None:
    write_json(path, [1])
    assert path.read_text() == "[\n  1\n]\n"


def export(path: Path) -> None:
    write_whole(path, b"data")
    assert path.read_bytes() == b"data"


@pytest.mark.parametrize("write", [plan, partial, arrays, recipe, export, manifest])
def test_a_link_at_a_temporary_name_is_replaced_and_not_followed(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    other, folder = tmp_path / "other", tmp_path / "work"
    folder.mkdir()
    name = ".a.partial" if write is export else f"a.tmp{os.getpid()}"
    (folder / name).symlink_to(other)
    write(folder / "a")
    assert not other.exists()
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert not (folder / "a").is_symlink()
