"""A stand-in for Ray's modules: a cluster of one process, whose workers run when their results are asked for."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class RayError(Exception):
    """As Ray's own, the base of all that it raises."""


class RayTaskError(RayError):
    """A task raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::Worker.compute()\n  {type(cause).__name__}: {cause}\n")
        self.cause = cause


class RayActorError(RayError):
    """A worker was killed too often."""


class ActorDiedError(RayActorError):
    """A worker never started."""


@dataclass
class StandIn:
    """What is asked of Ray, and what it answers."""

    nodes: list[dict[str, Any]] = field(
        default_factory=lambda: [{"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}]
    )
    refusal: Exception | None = None  # that init raises
    reconstructed: bool = False  # whether the next worker takes the place of one that was killed
    address: str | None = None
    init_options: dict[str, Any] = field(default_factory=dict)
    worker_options: dict[str, Any] = field(default_factory=dict)
    n_actors: int = 0
    n_shutdowns: int = 0

    def init(self, address: str, **options: Any) -> None:
        self.address, self.init_options = address, options
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # Ray installs handlers of its own
        if self.refusal is not None:
            raise self.refusal

    def shutdown(self) -> None:
        self.n_shutdowns += 1

    def remote(self, worker: type) -> Any:
        def make(*arguments: Any) -> Any:
            self.n_actors += 1
            made = worker(*arguments)
            return SimpleNamespace(compute=SimpleNamespace(remote=lambda unit: lambda: made.compute(unit)))

        def options(**given: Any) -> Any:
            self.worker_options = given
            return SimpleNamespace(remote=make)

        return SimpleNamespace(options=options)

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(
            gcs_address="10.0.0.1:6379", was_current_actor_reconstructed=self.reconstructed
        )


class ActorPool:
    """Tasks in the order in which they were submitted; an error is that of the task whose turn it is."""

    def __init__(self, actors: list[Any]) -> None:
        self._actors, self._tasks = actors, list[Callable[[], Any]]()
        self._idle: Iterator[Any] = iter(())

    def submit(self, call: Callable[[Any, Any], Callable[[], Any]], value: Any) -> None:
        self._tasks.append(call(self._actors[len(self._tasks) % len(self._actors)], value))

    def has_next(self) -> bool:
        return bool(self._tasks)

    def get_next_unordered(self) -> Any:
        self._idle = iter(self._actors[:1])
        try:
            return self._tasks.pop(0)()
        except RayError:
            raise
        except Exception as error:
            raise RayTaskError(error) from error

    def pop_idle(self) -> Any:
        return next(self._idle, None)


def install(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, which is imported in place of Ray until the test ends."""
    stand_in = StandIn()
    ray, exceptions, util = (ModuleType(name) for name in ("ray", "ray.exceptions", "ray.util"))
    for name in ("init", "shutdown", "remote", "get_runtime_context"):
        setattr(ray, name, getattr(stand_in, name))
    ray.nodes = lambda: stand_in.nodes  # type: ignore[attr-defined]
    for error in (RayTaskError, RayActorError, ActorDiedError):
        setattr(exceptions, error.__name__, error)
    util.ActorPool = ActorPool  # type: ignore[attr-defined]
    for module in (ray, exceptions, util):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return stand_in
