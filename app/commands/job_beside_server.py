"""A command that runs in a process of its own beside the server, whose pages show how far it is."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

import typer

from app.commands.store_access import run_server
from app.settings import Settings

_COMMAND = (sys.executable, "-c", "from app.cli import main; main()")
_STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # somebody ended it: it did not fail
_STOPPING_S = 30.0
_AGAIN_S = 15.0  # more than the server takes to stop


def serve_beside_job(words: Sequence[str], settings: Settings) -> None:
    """Run a head-atlas command and serve at once. A job that fails ends the server; a server that stops ends its job.

    words: the command's arguments. Raises typer.Exit with the exit code of a job that failed.
    """
    job = subprocess.Popen([*_COMMAND, *words])  # noqa: S603 - our own command
    server_ended = threading.Event()
    try:
        threading.Thread(target=_stop_server_after_failure, args=(job, server_ended), daemon=True).start()
        run_server(settings)
    except KeyboardInterrupt:
        if not _has_failed(job.poll()):  # else it was the job's end, while the server was starting
            raise
    finally:
        server_ended.set()
        _end(job)
    if _has_failed(job.returncode):
        raise typer.Exit(job.returncode)


def _stop_server_after_failure(job: subprocess.Popen[bytes], server_ended: threading.Event) -> None:
    """Interrupt the server once the job has failed; and again, since an import may swallow an interrupt."""
    if _has_failed(job.wait()):
        while not server_ended.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            server_ended.wait(_AGAIN_S)


def _has_failed(exit_code: int | None) -> bool:
    return exit_code not in (None, 0, *_STOPPED)


def _end(job: subprocess.Popen[bytes]) -> None:
    """End the job if it still runs, which keeps its finished parts."""
    if job.poll() is None:
        job.terminate()
    try:
        job.wait(_STOPPING_S)
    except subprocess.TimeoutExpired:
        job.kill()
        job.wait()
