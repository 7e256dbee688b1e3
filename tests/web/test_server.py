"""The server killed while people save: what was acknowledged is there. How fast it is back: benchmarks/restarts.py."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from tests.support.counts import count

pytestmark = pytest.mark.slow
N_KILLS, N_CLIENTS = 20, 4
HEADERS = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
PROGRAM = "from app.cli import main; main()"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(store, port):
    arguments = [sys.executable, "-c", PROGRAM, "serve", "--store", store, "--port", str(port)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def save(port, head, version, note, timeout=5.0):
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


def history(port, head):
    with_timeout = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with_timeout.request("GET", f"/tiny/heads/{head}/history.json")
    entries = json.loads(with_timeout.getresponse().read())["entries"]
    with_timeout.close()
    return [entry["record"]["content"]["notes"] for entry in entries][::-1]


class HeadWriter(threading.Thread):
    """Saves one head over and over. A save without an answer is sent again as it was, as the page does."""

    def __init__(self, port, head):
        super().__init__(daemon=True)
        self.port, self.head, self.stop = port, head, False
        self.acknowledged, self.failure = [], None

    def run(self):
        version, n = 0, 0
        try:
            while not self.stop:
                note = f"{self.head} {n}"
                try:
                    saved = save(self.port, self.head, version, note)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)
                    continue
                if saved is None:
                    time.sleep(0.02)
                    continue
                version, n = saved, n + 1
                self.acknowledged.append(note)
        except BaseException as error:
            self.failure = error


def restarted(store, port):
    """A server just started, after its first save."""
    process = start(store, port)
    while True:
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.01)
    assert save(port, "L2H3", 0, "the same each time", timeout=10) == 1
    return process


def test_d10_twenty_kills_lose_no_acknowledged_save(store):
    port = free_port()
    process = restarted(store, port)
    writers = [HeadWriter(port, f"L0H{head}") for head in range(N_CLIENTS)]
    for writer in writers:
        writer.start()
    for round_ in range(N_KILLS):
        time.sleep(0.15 + 0.05 * (round_ % 5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        count("server kills")
        process = restarted(store, port)
    time.sleep(0.5)
    for writer in writers:
        writer.stop = True
    for writer in writers:
        writer.join(20)
    try:
        assert [writer.failure for writer in writers] == [None] * N_CLIENTS
        for writer in writers:
            assert len(writer.acknowledged) > N_KILLS / 4
            stored = history(port, writer.head)
            assert stored[: len(writer.acknowledged)] == writer.acknowledged  # each once, in order
            assert len(stored) <= len(writer.acknowledged) + 1  # the last may have lost its answer
    finally:
        process.kill()
        process.wait()
