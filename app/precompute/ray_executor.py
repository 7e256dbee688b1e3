"""An executor on a Ray cluster, the only module that imports Ray.

Ray places the workers, starts those that were killed again and retries their units; nothing here does. Workers reach
the work folder, the model and the SAEs by the paths that this process has, and seal their units in that folder.
"""

import io
import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from app.errors import AppError
from app.precompute.dead_workers import MAX_TRIES, units_given_up
from app.precompute.loaded_run import JobSpec, LoadedRun
from app.precompute.other_machines import check_machine, wait_until_seen, with_absolute_paths
from app.precompute.plan import Unit
from app.precompute.process_memory import peak_memory_bytes
from app.precompute.ray_address import NoCluster
from app.precompute.shard import run_unit

_STORE_BYTES = 80 * 2**20  # of Ray's object store, about the least that it takes: results are names of units
# Where workers find files, and how they compute. No token is passed on: Ray shows these to whoever reaches it.
_PASSED_ON = (
    "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONPATH",
)  # fmt: skip
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a notice of a change to come
}
# Ray takes an address that others reach in place of 127.0.0.1, unless it is told that this is no machine for clusters.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnitDone:
    """What a worker says of a unit that it sealed."""

    unit: Unit
    host: str
    peak_memory_bytes: int
    restarted: bool  # it is the first unit of a worker that took the place of one that was killed


class RayExecutor:
    """Runs units in workers on the Ray cluster at `address`, or without one on a cluster of its own on this machine.

    Raises NoCluster.
    """

    name = "ray"

    def __init__(self, spec: JobSpec, workers: int, address: str | None) -> None:
        self._spec, self._address = with_absolute_paths(spec), address
        self.peak_memory_bytes = 0
        device = spec.plan.device
        if device.startswith("cuda:"):
            raise AppError(f"Ray gives each worker a GPU of its own: --device cuda, not {device}")
        on_gpu = device == "cuda"
        # On a cluster of its own nothing else is counted, and Ray starts a process for each CPU that it is told of.
        self._cpus = 1 if on_gpu or address is None else spec.plan.threads
        self._gpus = int(on_gpu)
        self._closing = ExitStack()
        try:
            self._connect(workers)
            self.workers = min(workers, self._room())
            cluster = _place() if address else "a Ray cluster of its own on this machine"
            self.where = f"{self.workers} worker{'s' if self.workers > 1 else ''} of {cluster}"
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the cluster, which ends this job's workers; a cluster of its own ends as well."""
        self._closing.close()

    def run(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Run the units in a pool of workers.

        Raises WorkerDied, after all other units, for those that killed their worker MAX_TRIES times, and AppError as
        a unit raises it.
        """
        from ray.exceptions import (  # pyright: ignore[reportMissingImports] - an extra
            ActorDiedError,
            RayActorError,
            RayTaskError,
        )
        from ray.util import ActorPool  # pyright: ignore[reportMissingImports] - an extra

        todo = list(units)
        left = set(todo)
        pool: Any = ActorPool(self._actors(min(self.workers, len(todo))))
        for unit in todo:
            pool.submit(lambda actor, unit: actor.compute.remote(unit), unit)
        while pool.has_next():
            try:
                done: UnitDone = pool.get_next_unordered()
            except RayTaskError as error:
                raise _raised_by_unit(error) from error
            except ActorDiedError as error:  # not by a unit, since those that are killed are started again
                raise _not_started(error) from error
            except RayActorError:
                continue  # Ray has tried its unit MAX_TRIES times
            finally:
                # What an idle worker holds goes to workers that wait for room, as after the loss of a machine.
                while pool.pop_idle() is not None:
                    pass
            self._note(done)
            left.remove(done.unit)
            yield done.unit
        if left:
            raise units_given_up(left)

    def _note(self, done: UnitDone) -> None:
        self.peak_memory_bytes = max(self.peak_memory_bytes, done.peak_memory_bytes)
        if done.restarted:
            _log.warning("a worker on %s was killed; Ray has started another, which goes on", done.host)
        wait_until_seen(self._spec.folder.sealed_path(done.unit), done.host)

    def _actors(self, n: int) -> list[Any]:
        import ray  # pyright: ignore[reportMissingImports] - an extra

        # A worker that is killed has tried its unit once; how often workers are killed in all does not matter.
        worker = ray.remote(Worker).options(
            num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=-1, max_task_retries=MAX_TRIES - 1
        )
        return [worker.remote(self._spec) for _ in range(n)]

    def _connect(self, workers: int) -> None:
        os.environ.update(_QUIET)
        options = self._cluster_of_its_own(workers) if self._address is None else _joining()
        import ray  # pyright: ignore[reportMissingImports] - an extra, which reads the environment when imported

        # Ray writes what happens to workers to this process's standard output, whatever it is told of logs.
        self._closing.enter_context(redirect_stdout(_Nowhere()))
        self._closing.callback(ray.shutdown)
        try:
            with _same_signal_handlers():
                ray.init(
                    self._address or "local", log_to_driver=False, logging_level=logging.ERROR, **options
                )
        except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
            where = f"the Ray cluster ({self._address})" if self._address else "a Ray cluster on this machine"
            raise NoCluster(f"{where} cannot be used: {' '.join(str(error).split())[:200]}") from error

    def _cluster_of_its_own(self, workers: int) -> dict[str, Any]:
        os.environ.update(_LOOPBACK | _environment())
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else one is left in the home folder
        folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        return {
            "num_cpus": workers,
            "num_gpus": self._gpus * torch.cuda.device_count(),
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
            "_temp_dir": self._closing.enter_context(folder),
        }

    def _room(self) -> int:
        """How many workers the machines of the cluster have room for. Raises NoCluster for none."""
        import ray  # pyright: ignore[reportMissingImports] - an extra

        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = 0
        for machine in machines:
            fit = machine.get("CPU", 0) // self._cpus
            room += int(min(fit, machine.get("GPU", 0)) if self._gpus else fit)
        if not room:
            what = "a GPU" if self._gpus else f"{self._cpus} CPUs, one for each of --threads"
            raise NoCluster(f"no machine of the Ray cluster has {what}, which a worker needs")
        return room


class _Nowhere(io.TextIOBase):
    """A text file that keeps nothing."""

    def write(self, text: str, /) -> int:
        return len(text)


class Worker:
    """A process on a machine of the cluster that runs units one after the other, with the run loaded once."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec, self._is_first = spec, True

    @cached_property
    def _run(self) -> LoadedRun:
        """The loaded run. The first unit loads it, so that errors are reported like those of a unit."""
        check_machine(self._spec)
        return LoadedRun(self._spec)

    def compute(self, unit: Unit) -> UnitDone:
        """Compute and seal a unit. Raises AppError."""
        import ray  # pyright: ignore[reportMissingImports] - an extra

        run_unit(self._run, unit)
        restarted = self._is_first and bool(ray.get_runtime_context().was_current_actor_reconstructed)
        self._is_first = False
        return UnitDone(unit, socket.gethostname(), peak_memory_bytes(), restarted)


@contextmanager
def _same_signal_handlers() -> Generator[None]:
    """Put this process's handlers back: with Ray's it would end in a core dump when it is told to stop."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _joining() -> dict[str, Any]:
    return {"runtime_env": {"env_vars": _environment()}}


def _environment() -> dict[str, str]:
    """Variables that workers need as they are here.

    Ray sets OMP_NUM_THREADS to the worker's CPUs where nobody has, which rounds sums of numpy otherwise than here.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(os.cpu_count()), **passed_on}


def _place() -> str:
    import ray  # pyright: ignore[reportMissingImports] - an extra

    return f"the Ray cluster at {ray.get_runtime_context().gcs_address}"


def _raised_by_unit(error: Any) -> BaseException:
    """The error that a unit raised, as it was before Ray wrapped it."""
    if isinstance(error.cause, AppError | OSError):
        return error.cause
    return _not_started(error) if "failed to import" in str(error) else error


def _not_started(error: Exception) -> NoCluster:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return NoCluster(
        "a worker could not be started; every machine of the cluster needs the same version of head-atlas "
        f"with its extras precompute and ray ({lines[-1][:200]})"
    )
