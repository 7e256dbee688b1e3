"""Which executor the options make, and what several processes do about units that kill their workers."""

from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from app.errors import AppError
from app.precompute import planner
from app.precompute.dead_workers import MAX_TRIES, WorkerDied
from app.precompute.executors import ProcessExecutor, SerialExecutor, make_executor
from app.precompute.plan import Unit
from app.precompute.request import ExecutorOptions

RUN: Any = SimpleNamespace(spec="the job")
UNITS = [Unit("features", i) for i in range(4)]


def test_the_options_name_the_executor() -> None:
    assert isinstance(make_executor(RUN, ExecutorOptions(executor="serial")), SerialExecutor)
    several = make_executor(RUN, ExecutorOptions(executor="processes", workers=3))
    assert isinstance(several, ProcessExecutor)
    assert (several.name, several.workers, several.where, several.peak_memory_bytes) == (
        "processes",
        3,
        "",
        0,
    )
    with pytest.raises(AppError, match="--workers must be at least 1, not 0"):
        make_executor(RUN, ExecutorOptions(executor="processes", workers=0))


def test_a_unit_that_kills_its_worker_is_tried_alone_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool is lost with all that runs in it, two units at a time; the third unit kills its worker each time."""
    pools: list[list[Unit]] = []

    def one_pool(_: ProcessExecutor, units: list[Unit], tries: Counter[Unit]) -> Iterator[Unit]:
        pools.append(list(units))
        for first in range(0, len(units), 2):
            running = units[first : first + 2]
            if UNITS[2] in running:
                tries.update(running)
                return
            yield from running

    monkeypatch.setattr(ProcessExecutor, "_one_pool", one_pool)
    running = ProcessExecutor(RUN.spec, 2).run(UNITS)
    assert [next(running) for _ in range(3)] == [UNITS[0], UNITS[1], UNITS[3]]
    with pytest.raises(WorkerDied, match=r"the workers on features-00002\.seal were killed 3 times"):
        next(running)
    alone = [units for units in pools if units == [UNITS[2]]]
    assert pools[0] == UNITS
    assert len(alone) == MAX_TRIES - 1


def test_the_rate_of_products_is_the_best_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 4.0, 10.0, 12.0, 20.0, 28.0])
    monkeypatch.setattr(planner, "_PROBE", 10)
    monkeypatch.setattr(planner.time, "perf_counter", lambda: next(times))
    assert planner.product_rate("cpu", torch.float32) == 2 * 10**3 / 2
