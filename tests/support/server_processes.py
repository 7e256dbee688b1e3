"""Servers in processes of their own, on a port of this machine, and what is asked of them."""

import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
PROGRAM = "from app.cli import main; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(store: str, port: int) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", PROGRAM, "serve", "--store", store, "--port", str(port)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextmanager
def running(store: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server's process and its port, from its first answer on; it is killed at the end."""
    port = free_port()
    process = start(store, port)
    try:
        deadline = time.monotonic() + 60
        while status_of(port, "/healthz") != 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def status_of(port: int, path: str) -> int:
    """The status of the answer; 0 where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except OSError:
        return 0
    finally:
        connection.close()
    return answer.status


def save(port: int, head: str, version: int, note: str, timeout: float = 5.0) -> int | None:
    """The new version. Raises OSError or HTTPException where there was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        body = urllib.parse.urlencode({"action": "save", "base_version": version, "notes": note})
        connection.request("POST", f"/tiny/heads/{head}/annotation", body, HEADERS)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    assert answer.status in (200, 409, 503), text
    return json.loads(text)["version"] if answer.status == 200 else None


def history(port: int, head: str) -> list[str]:
    """The notes of every version of a head's record, the first first."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    entries, below = [], None
    while True:
        part = "" if below is None else f"?below={below}"
        connection.request("GET", f"/tiny/heads/{head}/history.json{part}")
        page = json.loads(connection.getresponse().read())
        entries += page["entries"]
        below = page["older"]
        if below is None:
            break
    connection.close()
    return [entry["record"]["content"]["notes"] for entry in entries][::-1]
