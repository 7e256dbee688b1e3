"""What the executor on Ray asks of a cluster and makes of its answers, on a stand-in; real clusters are in test_ray."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import AppError
from app.precompute import ray_executor
from app.precompute.dead_workers import WorkerDied
from app.precompute.plan import Unit
from app.precompute.ray_address import NoCluster
from app.precompute.ray_executor import RayExecutor
from tests.support import ray_stand_in
from tests.support.ray_stand_in import ActorDiedError, RayActorError, RayTaskError, StandIn

UNITS = [Unit("features", i) for i in range(3)]
MakeExecutor = Callable[..., RayExecutor]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(ray_executor, "with_absolute_paths", lambda spec: spec)
    monkeypatch.setattr(ray_executor, "check_machine", lambda _: None)
    monkeypatch.setattr(ray_executor, "LoadedRun", lambda spec: spec)
    monkeypatch.setattr(ray_executor, "peak_memory_bytes", lambda: 7)
    return ray_stand_in.install(monkeypatch)


@pytest.fixture
def compute(monkeypatch: pytest.MonkeyPatch) -> dict[Unit, Exception]:
    """What each unit raises instead of being sealed."""
    failures: dict[Unit, Exception] = {}

    def run_unit(run: Any, unit: Unit) -> None:
        if unit in failures:
            raise failures[unit]
        run.folder.sealed_path(unit).touch()

    monkeypatch.setattr(ray_executor, "run_unit", run_unit)
    return failures


@pytest.fixture
def make(tmp_path: Path, ray: StandIn, compute: dict[Unit, Exception]) -> Iterator[MakeExecutor]:
    made: list[RayExecutor] = []

    def make(
        workers: int = 2, address: str | None = None, device: str = "cpu", threads: int = 1
    ) -> RayExecutor:
        folder = SimpleNamespace(sealed_path=lambda unit: tmp_path / unit.file_name)
        spec: Any = SimpleNamespace(plan=SimpleNamespace(device=device, threads=threads), folder=folder)
        made.append(RayExecutor(spec, workers, address))
        return made[-1]

    yield make
    for executor in reversed(made):  # each put standard output aside
        executor.close()


def test_all_units_are_sealed_by_workers_that_ray_starts_again(
    make: MakeExecutor, ray: StandIn, tmp_path: Path
) -> None:
    executor = make()
    assert list(executor.run(UNITS)) == UNITS
    assert {path.name for path in tmp_path.iterdir()} == {unit.file_name for unit in UNITS}
    assert (executor.workers, ray.n_actors, executor.peak_memory_bytes) == (2, 2, 7)
    assert ray.worker_options == {"num_cpus": 1, "num_gpus": 0, "max_restarts": -1, "max_task_retries": 2}


def test_no_more_workers_are_started_than_there_are_units(make: MakeExecutor, ray: StandIn) -> None:
    assert list(make().run(UNITS[:1])) == UNITS[:1]
    assert ray.n_actors == 1


def test_a_worker_that_took_the_place_of_another_is_told_once(
    make: MakeExecutor, ray: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    ray.reconstructed = True
    with caplog.at_level(logging.WARNING):
        assert list(make(workers=1).run(UNITS)) == UNITS
    assert [record.message.partition(" on ")[0] for record in caplog.records] == ["a worker"]
    assert "was killed; Ray has started another" in caplog.text


def test_units_that_killed_each_worker_are_given_up_after_all_others(
    make: MakeExecutor, compute: dict[Unit, Exception]
) -> None:
    compute[UNITS[0]] = RayActorError()
    running = make().run(UNITS)
    assert [next(running), next(running)] == UNITS[1:]
    with pytest.raises(WorkerDied, match=r"the workers on features-00000\.seal were killed 3 times"):
        next(running)


@pytest.mark.parametrize("error", [AppError("the text ends early"), OSError(28, "No space left on device")])
def test_an_error_of_a_unit_is_raised_as_the_unit_raised_it(
    error: Exception, make: MakeExecutor, compute: dict[Unit, Exception]
) -> None:
    compute[UNITS[1]] = error
    with pytest.raises(type(error)) as caught:
        list(make().run(UNITS))
    assert caught.value is error


def test_a_worker_that_cannot_be_started_names_what_its_machine_lacks(
    make: MakeExecutor, compute: dict[Unit, Exception]
) -> None:
    for error in (
        RuntimeError("The actor failed to import\nNo module named 'app'"),
        ActorDiedError("No module 'app'"),
    ):
        compute[UNITS[0]] = error
        with pytest.raises(
            NoCluster, match=r"every machine of the cluster needs the same version .*No module"
        ):
            list(make().run(UNITS))


def test_an_error_of_the_program_stays_one(make: MakeExecutor, compute: dict[Unit, Exception]) -> None:
    compute[UNITS[0]] = ZeroDivisionError("by zero")
    with pytest.raises(RayTaskError, match="ZeroDivisionError: by zero"):
        list(make().run(UNITS))


def test_a_cluster_of_its_own_is_closed_to_others_and_ends_with_the_job(
    make: MakeExecutor, ray: StandIn
) -> None:
    before, output = signal.getsignal(signal.SIGTERM), sys.stdout
    executor = make(workers=3)
    assert executor.where == "2 workers of a Ray cluster of its own on this machine"
    assert signal.getsignal(signal.SIGTERM) == before
    assert (ray.address, ray.init_options["num_cpus"], ray.init_options["include_dashboard"]) == (
        "local",
        3,
        False,
    )
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    folder = Path(ray.init_options["_temp_dir"])
    assert folder.is_dir()
    assert sys.stdout is not output  # what Ray prints of workers goes nowhere
    assert sys.stdout.write("of a worker") == len("of a worker")
    executor.close()
    assert not folder.exists()
    assert (ray.n_shutdowns, sys.stdout) == (1, output)


def test_a_cluster_that_is_joined_gets_the_variables_of_files_and_no_token(
    make: MakeExecutor, ray: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HF_HOME", "/models")
    monkeypatch.setitem(os.environ, "HF_TOKEN", "secret")
    monkeypatch.setitem(os.environ, "OMP_NUM_THREADS", "5")
    ray.nodes.append({"Alive": True, "Resources": {"CPU": 5.0}})
    ray.nodes.append({"Alive": False, "Resources": {"CPU": 64.0}})
    executor = make(workers=8, address="10.0.0.1:6379", threads=2)
    assert executor.where == "3 workers of the Ray cluster at 10.0.0.1:6379"
    variables = ray.init_options["runtime_env"]["env_vars"]
    assert (variables["HF_HOME"], variables["OMP_NUM_THREADS"], "HF_TOKEN" in variables) == (
        "/models",
        "5",
        False,
    )
    assert list(executor.run(UNITS)) == UNITS
    assert ray.worker_options["num_cpus"] == 2


def test_a_job_on_gpus_has_a_worker_for_each(make: MakeExecutor, ray: StandIn) -> None:
    ray.nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 3.0}},
        {"Alive": True, "Resources": {"CPU": 8.0}},
    ]
    executor = make(workers=8, address="10.0.0.1:6379", device="cuda", threads=4)
    assert executor.where.startswith("3 workers of ")
    assert list(executor.run(UNITS)) == UNITS
    assert (ray.worker_options["num_cpus"], ray.worker_options["num_gpus"]) == (1, 1)
    with pytest.raises(AppError, match="Ray gives each worker a GPU of its own: --device cuda, not cuda:1"):
        make(device="cuda:1")


@pytest.mark.parametrize(
    ("device", "threads", "what"), [("cuda", 1, "a GPU"), ("cpu", 16, "16 CPUs, one for each of --threads")]
)
def test_a_cluster_without_room_for_a_worker_is_left(
    device: str, threads: int, what: str, make: MakeExecutor, ray: StandIn
) -> None:
    ray.nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}]
    with pytest.raises(NoCluster, match=f"no machine of the Ray cluster has {what}, which a worker needs"):
        make(address="10.0.0.1:6379", device=device, threads=threads)
    assert ray.n_shutdowns == 1


@pytest.mark.parametrize(
    ("address", "where"),
    [("10.0.0.1:6379", r"the Ray cluster \(10\.0\.0\.1:6379\)"), (None, "a Ray cluster on this machine")],
)
def test_a_cluster_that_refuses_is_told_in_a_sentence(
    address: str | None, where: str, make: MakeExecutor, ray: StandIn
) -> None:
    ray.refusal = ConnectionError("version\n  mismatch")
    before, output = signal.getsignal(signal.SIGTERM), sys.stdout
    with pytest.raises(NoCluster, match=f"{where} cannot be used: version mismatch"):
        make(address=address)
    assert (ray.n_shutdowns, signal.getsignal(signal.SIGTERM), sys.stdout) == (1, before, output)
