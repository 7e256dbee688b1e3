"""The server killed while people save: what was acknowledged is there. How fast it is back: benchmarks/restarts.py."""

import http.client
import signal
import socket
import threading
import time

import pytest

from tests.support.counts import count
from tests.support.server_processes import free_port, history, save, start

pytestmark = pytest.mark.slow
N_KILLS, N_CLIENTS = 20, 4


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
