"""A job beside the server: the server answers while it runs, and what ends the one ends the other."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.store.opening import open_migrated

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# The job is a small program in place of head-atlas; the server is the real one.
_SCRIPT = """
import signal, sys
from app.commands import job_beside_server
from app.settings import Settings
job_beside_server._COMMAND = (sys.executable, "-c")
import typer
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as app.cli does
job, store, port = sys.argv[1:]
try:
    job_beside_server.serve_beside_job([job], Settings(store=store, port=int(port)))
except typer.Exit as end:
    sys.exit(end.exit_code)
"""
Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """A function that starts the server with a job, a Python program; it is stopped at the end."""
    store = str(tmp_path / "store.sqlite")
    open_migrated(store).dispose()
    servers: list[subprocess.Popen[bytes]] = []

    def started(job: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", _SCRIPT, job, store, str(port)]
        servers.append(subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}))
        return servers[-1]

    yield started
    for server in servers:
        server.kill()
        server.wait()


def wait_for_answer(port: int) -> None:
    """Wait until the server says that it is there; the test's own time limit bounds it."""
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not answer")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_stops_its_job(
    start: Start, port: int, tmp_path: Path, number: signal.Signals
) -> None:
    said = tmp_path / "job"
    job = (
        f"import os, pathlib, time; pathlib.Path({str(said)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    server = start(job)
    wait_for_answer(port)
    assert is_running(int(said.read_text()))
    server.send_signal(number)
    assert server.wait(30) in (0, 143)
    assert not is_running(int(said.read_text()))


@pytest.mark.parametrize("after_s", [0, 1, 5])
def test_a_job_that_fails_ends_the_server_with_its_exit_code(start: Start, after_s: int) -> None:
    server = start(f"import sys, time; time.sleep({after_s}); sys.exit(7)")
    assert server.wait(60) == 7


def test_the_server_goes_on_after_its_job(start: Start, port: int, tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    server = start(f"import pathlib; pathlib.Path({str(ended)!r}).touch()")
    wait_for_answer(port)
    while not ended.exists():
        time.sleep(0.1)
    assert server.poll() is None
    wait_for_answer(port)
