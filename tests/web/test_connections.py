"""A real server under connections that only wait: honest requests are answered, and the others are closed in time.

Honest requests have to be answered within a bound that holds on a shared machine; how long they took is counted.
"""

import http.client
import signal
import socket
import time
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from app.web.connections import BODY_S, HEAD_S, MAX_CONNECTIONS
from app.web.server import GRACE_S
from tests.support.counts import count
from tests.support.server_processes import running

pytestmark = pytest.mark.slow

IDLE = b""
SLOW_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
SLOW_BODY = (
    b"POST /tiny/heads/L0H0/annotation HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nnotes="
)
KEPT_ALIVE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def port(served_process):
    return served_process[1]


@pytest.fixture
def served_process(store):
    with running(store) as server:
        yield server


def opened(port, start):
    connection = socket.create_connection(("127.0.0.1", port), 10)
    if start:
        connection.sendall(start)
    return connection


def timed(port, path="/tiny"):
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, time.monotonic() - began


@contextmanager
def memory_bounded(process):
    """Fails where the server grows by 100 MB or more until the end of the block."""
    server = psutil.Process(process.pid)
    before = server.memory_info().rss
    yield
    grown = max(0, server.memory_info().rss - before) / 1e6
    count("grown_mb", round(grown))
    assert grown < 100


def is_closed(connection):
    connection.settimeout(0.2)
    try:
        return connection.recv(65536) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize(
    "start", [IDLE, SLOW_HEAD, SLOW_BODY, KEPT_ALIVE], ids=["idle", "head", "body", "kept"]
)
def test_e27_connections_that_only_wait_keep_nobody_out(served_process, start):
    process, port = served_process
    timed(port)  # the first page compiles its template
    with ExitStack() as idle:
        idle.enter_context(memory_bounded(process))
        for _ in range(MAX_CONNECTIONS + 20):
            idle.enter_context(opened(port, start))
        answers = [timed(port) for _ in range(100)]
    assert {status for status, _ in answers} == {200}
    times = sorted(seconds for _, seconds in answers)
    # Measured: p99 11 to 40 ms. Where other work takes the cores, single answers take longer, with and without them.
    count("p99_ms", round(1000 * times[98]))
    assert times[90] < 0.25
    assert times[98] < 2


def test_a_server_that_is_told_to_stop_answers_what_is_under_way_and_ends(served_process):
    process, port = served_process
    with (
        opened(port, SLOW_BODY.replace(b"1000", b"7")) as saving,
        opened(port, KEPT_ALIVE),
        opened(port, IDLE),
    ):
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        saving.sendall(b"x")
        assert saving.recv(65536).startswith(b"HTTP/1.1 303")
        assert process.wait(GRACE_S + 5) in (0, 143, -signal.SIGTERM)


def test_e27_slow_connections_are_closed_though_nobody_needs_their_place(port):
    with (
        opened(port, SLOW_HEAD) as trickling,
        opened(port, SLOW_BODY) as silent,
        opened(port, SLOW_BODY) as steady,
    ):
        _watch(trickling, silent, steady)


def _watch(trickling, silent, steady):
    began = time.monotonic()
    while not (is_closed(trickling) and is_closed(silent)):
        assert time.monotonic() - began < max(HEAD_S, BODY_S) + 10
        for connection in (trickling, steady):
            try:
                connection.sendall(b"x")
            except OSError:
                assert connection is trickling
        time.sleep(1)
    assert time.monotonic() - began > min(HEAD_S, BODY_S)
    steady.sendall(b"x")  # slow, and on its way
    assert not is_closed(steady)


def test_e26_a_header_of_many_kilobytes_is_refused_and_others_are_answered(served_process):
    process, port = served_process
    timed(port)
    with memory_bounded(process), socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: " + b"x" * 200_000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 4")
        with ExitStack() as stack:
            stack.enter_context(suppress(ConnectionError))
            connection.sendall(b"x" * 20_000_000)
            assert connection.recv(1000) == b""
    status, _ = timed(port)
    assert status == 200


def test_e25_a_body_of_many_megabytes_is_refused_and_others_are_answered(served_process):
    process, port = served_process
    timed(port)
    start = SLOW_BODY.replace(b"1000", b"20000000")
    with memory_bounded(process), socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(start)
        with suppress(ConnectionError):  # the server may have closed before all was sent
            connection.sendall(b"x" * 20_000_000)
            assert connection.recv(1000).startswith(b"HTTP/1.1 413")
    assert timed(port)[0] == 200
