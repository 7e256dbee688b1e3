"""A1, A17: a dozen kills of the real job under each executor, at random moments: the same files and rows in the end."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.stopped_jobs import finish, kill, sealed_files, start, undisturbed_run, wait_for_units
from tests.support.tiny_jobs import Tiny, digest_of, make_tiny

N_KILLS = 12
EXECUTORS = {"serial": (), "processes": ("--executor", "processes", "--workers", "2")}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("killed"), k=6)


@pytest.fixture(scope="module")
def whole(tiny: Tiny) -> tuple[str, dict[str, str]]:
    return undisturbed_run(tiny)


def alive_below(folder: Path) -> list[str]:
    """Processes that still work in the folder."""
    lines: list[str] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and str(folder).encode() in (entry / "cmdline").read_bytes():
                lines.append(entry.name)
        except OSError:
            continue
    return [line for line in lines if int(line) != os.getpid()]


@pytest.mark.sweep
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a01_a_dozen_kills_under_each_executor_leave_the_same_files_and_rows(
    tiny: Tiny, whole: Any, tmp_path: Path, executor: str, record_property: Callable[[str, object], None]
) -> None:
    moments = random.Random(executor)
    for number in range(N_KILLS):
        process = start(tiny, tmp_path, *EXECUTORS[executor])
        wait_for_units(process, tmp_path, 1 + 24 * number // N_KILLS)
        time.sleep(moments.uniform(0, 0.5))
        kill(process)
        deadline = time.monotonic() + 20  # workers notice that their parent is gone
        while alive_below(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert alive_below(tmp_path) == []
    finish(tiny, tmp_path, *EXECUTORS[executor])
    assert (digest_of(tmp_path / "store.sqlite"), sealed_files(tmp_path / "work")) == whole
    record_property("job kills", N_KILLS)
