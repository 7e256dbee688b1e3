"""Executors of units: one unit after the other, in several processes, or on a Ray cluster. All write the same files."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing.sharedctypes import Synchronized
from typing import Protocol

from app.adapters.devices import take_own_gpu
from app.errors import AppError
from app.precompute.dead_workers import MAX_TRIES, units_given_up
from app.precompute.loaded_run import JobSpec, LoadedRun
from app.precompute.plan import Unit
from app.precompute.ray_address import cluster_address
from app.precompute.request import ExecutorOptions
from app.precompute.shard import run_unit


class Executor(Protocol):
    """Runs units in any order and yields each when its file is sealed.

    where: which workers compute, for the first line of a job; empty for processes of this machine.
    peak_memory_bytes: the largest that workers on Ray reported; 0 where all workers are children of this process.
    """

    name: str
    workers: int
    where: str
    peak_memory_bytes: int

    def run(self, units: Iterable[Unit]) -> Iterator[Unit]: ...

    def close(self) -> None: ...


def make_executor(run: LoadedRun, options: ExecutorOptions) -> Executor:
    """The executor that the options ask for. Raises AppError."""
    if options.executor == "serial":
        return SerialExecutor(run)
    if options.workers < 1:
        raise AppError(f"--workers must be at least 1, not {options.workers}")
    if options.executor == "processes":
        return ProcessExecutor(run.spec, options.workers)
    from app.precompute.ray_executor import RayExecutor

    return RayExecutor(run.spec, options.workers, cluster_address(options.address))


class _OnThisMachine:
    where = ""
    peak_memory_bytes = 0

    def close(self) -> None:
        """Nothing outlasts a run."""


class SerialExecutor(_OnThisMachine):
    """Runs units in this process."""

    name = "serial"
    workers = 1

    def __init__(self, run: LoadedRun) -> None:
        self._run = run

    def run(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Run one unit after the other."""
        for unit in units:
            run_unit(self._run, unit)
            yield unit


class ProcessExecutor(_OnThisMachine):
    """Runs units in new worker processes on this machine; a unit whose worker was killed is retried alone."""

    name = "processes"

    def __init__(self, spec: JobSpec, workers: int) -> None:
        self._spec, self.workers = spec, workers

    def run(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Run the units in a pool of workers.

        Raises WorkerDied, after all other units, for those that killed their worker MAX_TRIES times.
        """
        left = list(units)
        tries: Counter[Unit] = Counter()
        while left:
            # Whichever unit killed a worker, all that ran then are lost: alone, each answers for itself.
            suspects = [unit for unit in left if tries[unit]]
            together = suspects[:1] or left
            for unit in self._one_pool(together, tries):
                left.remove(unit)
                yield unit
            if suspects and tries[suspects[0]] >= MAX_TRIES:
                left.remove(suspects[0])
        if given_up := [unit for unit, n in tries.items() if n >= MAX_TRIES]:
            raise units_given_up(given_up)

    def _one_pool(self, units: list[Unit], tries: Counter[Unit]) -> Iterator[Unit]:
        """Run units until all are done or a worker is killed, and yield those that are done.

        When a worker is killed the pool is lost, and each unit that was running has used one of its tries.
        """
        context = multiprocessing.get_context("spawn")  # a fork of a process with torch threads may hang
        workers = min(self.workers, len(units))
        started = context.Value("i", 0)
        with ProcessPoolExecutor(workers, context, _start_worker, (self._spec, started)) as pool:
            waiting = list(reversed(units))
            running: dict[Future[None], Unit] = {}
            while waiting or running:
                while waiting and len(running) < workers:
                    unit = waiting.pop()
                    running[pool.submit(_run_in_worker, unit)] = unit
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                lost = [future for future in done if isinstance(future.exception(), BrokenProcessPool)]
                for future in done.difference(lost):
                    future.result()
                    yield running.pop(future)
                if lost:
                    tries.update(running.values())
                    return


_worker: list[tuple[JobSpec, int]] = []  # what this worker is to run, and its place among the workers


def _start_worker(spec: JobSpec, started: Synchronized) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with started.get_lock():
        _worker.append((spec, started.value))
        started.value += 1


def _end_with_parent() -> None:
    """End this worker when its parent is killed, since it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@cache
def _worker_run() -> LoadedRun:
    """The worker's loaded run. Its first unit loads it, so that errors are reported like those of a unit."""
    spec, place = _worker[0]
    take_own_gpu(spec.plan.device, place)
    return LoadedRun(spec)


def _run_in_worker(unit: Unit) -> None:
    run_unit(_worker_run(), unit)
