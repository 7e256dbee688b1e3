"""Workers that die, and workers whose parent dies."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import app.precompute.executors
from app.adapters.devices import take_own_gpu
from app.precompute.dead_workers import WorkerDied
from app.precompute.executors import ProcessExecutor
from app.precompute.plan import Unit

pytestmark = pytest.mark.slow

PLACE = "HEAD_ATLAS_TEST_PLACES"


def note_gpu(device: str, place: int) -> None:
    """What a worker does in the next test when it loads its run."""
    Path(os.environ[PLACE], f"{device} {place}").touch()


def take_gpu_and_wait(unit: Unit) -> None:
    """Load the run, and keep the worker busy until both have begun."""
    app.precompute.executors.take_own_gpu = note_gpu
    app.precompute.executors.LoadedRun = lambda spec: spec  # type: ignore[assignment,misc]
    app.precompute.executors._worker_run()
    deadline = time.monotonic() + 180
    while len(list(Path(os.environ[PLACE]).iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)


@dataclass(frozen=True)
class PlanOnGpu:
    """As much of a plan as a worker reads before it loads."""

    device: str = "cuda"


@dataclass(frozen=True)
class SpecOnGpu:
    """As much of a job's specification."""

    plan: PlanOnGpu = PlanOnGpu()


def test_workers_take_one_gpu_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(app.precompute.executors, "_run_in_worker", take_gpu_and_wait)
    monkeypatch.setenv(PLACE, str(tmp_path))
    units = [Unit("features", index) for index in range(2)]
    assert sorted(ProcessExecutor(SpecOnGpu(), 2).run(units)) == units  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cuda 0", "cuda 1"]


@pytest.mark.parametrize(
    ("device", "n_gpus", "taken"),
    [("cuda", 2, [0, 1, 0]), ("cuda", 1, [0, 0, 0]), ("cuda:1", 2, []), ("cpu", 0, [])],
)
def test_a_worker_takes_the_gpu_of_its_place(
    device: str, n_gpus: int, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    for place in range(3):
        take_own_gpu(device, place)
    assert chosen == taken


def doomed_unit(unit: Unit) -> None:
    """What a worker does in the next tests: the unit features-00001 kills it."""
    if unit == Unit("features", 1):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app.precompute.executors, "_run_in_worker", doomed_unit)


def test_a17_a_unit_that_kills_its_workers_is_given_up_and_the_others_are_not(pools: None) -> None:
    units = [Unit("features", index) for index in range(4)]
    done: list[Unit] = []
    with pytest.raises(WorkerDied, match=r"on features-00001\.seal were killed 3 times"):
        done.extend(ProcessExecutor(None, 2).run(units))  # type: ignore[arg-type]
    assert sorted(done) == [units[0], units[2], units[3]]


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import time, multiprocessing as m\n"
        "from app.precompute.executors import _start_worker\n"
        "def idle(path):\n"
        "    _start_worker(None, m.Value('i'))\n"
        "    import os, pathlib; pathlib.Path(path).write_text(str(os.getpid())); time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    import sys; w = m.get_context('spawn').Process(target=idle, args=(sys.argv[1],)); w.start(); w.join()\n"
    )
    path = tmp_path / "parent.py"
    path.write_text(script)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(path), str(tmp_path / "pid")], env=os.environ | {"PYTHONPATH": root}
    )
    deadline = time.monotonic() + 180
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait(timeout=30)
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Not gone, and not a zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
