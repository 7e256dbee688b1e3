"""A9 to A11: jobs that meet on one store or one work folder: one is shown whole, and the other says why not."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import StoreBusy
from app.paths import migrations_dir
from app.precompute.work_folder import WorkFolder
from app.store.atlas.reads import find_live_fingerprint
from app.store.checks import check_store
from app.store.database.engine import read_session
from app.store.opening import migrated_store
from tests.support.small_job import PLAN, SLUG
from tests.support.time_limits import less_than

JOB = """
import sys
from dataclasses import replace
from pathlib import Path
import app.cli
from tests.support.small_job import PLAN, RUN, publish_slowly
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
run = replace(RUN, record=replace(RUN.record, fingerprint=replace(PLAN, seed=seed).fingerprint))
print("ready", flush=True)
input()
app.cli.app = lambda *_, **__: publish_slowly(folder / "store.sqlite", run)
sys.argv = ["head-atlas", "precompute"]
app.cli.main()
"""
HOLDER = """
import sys
from pathlib import Path
from app.precompute.work_folder import WorkFolder
with WorkFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    input()
"""


def start(program: str, *words: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=migrations_dir().parent, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


@pytest.mark.parametrize(
    "rounds", [pytest.param(1, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.sweep)]
)
def test_a10_of_two_publishers_one_is_shown_and_the_other_ends_in_a_sentence(
    tmp_path: Path, rounds: int
) -> None:
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        with migrated_store(str(folder / "store.sqlite")):
            pass
        jobs = [start(JOB, str(folder), str(seed)) for seed in (1, 2)]
        for job in jobs:
            assert job.stdin is not None
            job.stdin.write("\n")
            job.stdin.flush()
        said = [job.communicate(timeout=120)[1] for job in jobs]
        codes = [job.returncode for job in jobs]
        assert 0 in codes, said
        assert set(codes) <= {0, 3}, said
        assert "Traceback" not in "".join(said)
        assert all(line.startswith("error: ") for text in said for line in text.splitlines())
        with migrated_store(str(folder / "store.sqlite")) as engine:
            check_store(engine)
            with read_session(engine) as session:
                live = find_live_fingerprint(session, SLUG)
        whole = [seed for seed, code in zip((1, 2), codes, strict=True) if code == 0]
        assert live in {replace(PLAN, seed=seed).fingerprint for seed in whole}


@pytest.mark.parametrize(
    "rounds", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.sweep)]
)
def test_a09_a11_a_second_start_is_refused_at_once_and_a_killed_holders_lock_is_free(
    tmp_path: Path, rounds: int, record_property: Callable[[str, object], None]
) -> None:
    for _ in range(rounds):
        holder = start(HOLDER, str(tmp_path / "work"))
        holds = f'"pid": {holder.pid}'
        with less_than(1), pytest.raises(StoreBusy, match=holds), WorkFolder(tmp_path / "work").locked():
            pass
        holder.kill()
        holder.communicate()
        with less_than(1), WorkFolder(tmp_path / "work").locked():
            pass
    record_property("second starts refused", rounds)
    record_property("locks free", rounds)
