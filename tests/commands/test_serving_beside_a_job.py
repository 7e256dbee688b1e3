"""A job and a server that end each other, the server being a stand-in: who stops, who goes on, with which code."""

import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import typer

from app.commands import job_beside_server
from app.commands.job_beside_server import serve_beside_job

WAIT_S = 30.0
FOR_LONG = "import time; time.sleep(60)"
Serve = Callable[[], None]
SERVING: Any = None  # the settings, which the stand-in does not read


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Serve], list[Any]]:
    """Runs a job, which is a line of Python, beside a server. `beside.jobs` are the processes of its jobs."""
    jobs: list[Any] = []
    popen = job_beside_server.subprocess.Popen

    def start(words: list[str], **options: Any) -> Any:
        jobs.append(popen(words, **options))
        return jobs[-1]

    def run(job: str, serve: Serve) -> list[Any]:
        monkeypatch.setattr(job_beside_server, "_COMMAND", (sys.executable, "-c", job))
        monkeypatch.setattr(job_beside_server, "run_server", lambda _: serve())
        monkeypatch.setattr(job_beside_server.subprocess, "Popen", start)
        # As in a terminal: what a shell starts in the background ignores interrupts until a server listens to them.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            serve_beside_job([], SERVING)
        finally:
            signal.signal(signal.SIGINT, handler)
            monkeypatch.undo()
        return jobs

    run.jobs = jobs  # type: ignore[attr-defined]
    return run


def until_interrupted() -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_job_that_fails_interrupts_the_server_and_its_code_is_the_commands(beside: Any) -> None:
    began = time.monotonic()
    with pytest.raises(typer.Exit) as ended:
        beside("raise SystemExit(4)", until_interrupted)
    assert ended.value.exit_code == 4
    assert time.monotonic() - began < WAIT_S


def test_after_a_job_that_is_done_the_server_goes_on_until_it_ends_by_itself(beside: Any) -> None:
    served: list[float] = []

    def serve() -> None:
        time.sleep(0.5)
        served.append(time.monotonic())

    (job,) = beside("pass", serve)
    assert len(served) == 1
    assert job.returncode == 0


def test_a_server_that_ends_stops_its_job_which_did_not_fail(beside: Any) -> None:
    (job,) = beside(FOR_LONG, lambda: None)
    assert job.returncode == -signal.SIGTERM


def test_an_interrupt_by_the_user_stops_both(beside: Any) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        beside(FOR_LONG, interrupted)
    (job,) = beside.jobs
    assert job.returncode == -signal.SIGTERM


def test_a_job_that_does_not_stop_is_killed(
    beside: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(job_beside_server, "_STOPPING_S", 0.2)
    ready = tmp_path / "ready"
    deaf = (
        "import pathlib, signal, time; signal.signal(15, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )

    def serve() -> None:
        deadline = time.monotonic() + WAIT_S
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    with pytest.raises(typer.Exit) as ended:
        beside(deaf, serve)
    assert ended.value.exit_code == -signal.SIGKILL
