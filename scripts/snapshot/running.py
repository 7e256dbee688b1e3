"""Running a tree of Head Atlas from outside: its commands and its server, never its modules."""

import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_S = 120
_REQUEST_S = 120


@dataclass(frozen=True)
class Response:
    """What the server answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_options: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects(), urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Tree:
    """A checkout, and the command that runs it. Commands run in `folder`, so that no path of the machine is told."""

    root: Path
    command: str

    def words(self) -> list[str]:
        """The words of the command; a program named by a path is looked for from here, then in the checkout."""
        first, *more = shlex.split(self.command)
        for place in (Path.cwd(), self.root):
            if "/" in first and (place / first).exists():
                first = str((place / first).absolute())  # not resolved: a link may be a virtual environment
        return [first, *more]

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HEAD_ATLAS_")}
        inherited.pop("PORT", None)
        return inherited | {
            "PYTHONPATH": str(self.root.resolve()),
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": "100",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, arguments: list[str], folder: Path) -> tuple[int, str]:
        """The exit code of a command, and its output: stdout, then stderr."""
        done = subprocess.run(
            [*self.words(), *arguments],
            cwd=folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def must_run(self, arguments: list[str], folder: Path) -> None:
        """Run a command that has to succeed. Ends the script where it does not."""
        code, output = self.run(arguments, folder)
        if code:
            sys.exit(f"{shlex.join(arguments)} ended with {code}:\n{output}")

    @contextmanager
    def served(self, store: str, folder: Path, *options: str) -> Iterator["RunningServer"]:
        """A server of the store on a free port."""
        port = _free_port()
        words = [*self.words(), "serve", "--store", store, "--port", str(port), *options]
        log = folder / "server.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                words, cwd=folder, env=self.environment(), stdout=output, stderr=output
            )
            try:
                server = RunningServer(port)
                server.wait(process, log)
                yield server
            finally:
                process.terminate()
                process.wait(30)


@dataclass(frozen=True)
class RunningServer:
    port: int

    def get(self, address: str, headers: dict[str, str] | None = None) -> Response:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{address}", headers=headers or {})
        try:
            with _OPENER.open(request, timeout=_REQUEST_S) as answer:
                return Response(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as answer:
            return Response(answer.code, _lower(answer.headers), answer.read())

    def wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        """Return once the server answers. Ends the script where it does not start."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if self.get("/healthz").status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        sys.exit(f"the server did not start:\n{log.read_text()}")


def _lower(headers: object) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}  # type: ignore[attr-defined]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
