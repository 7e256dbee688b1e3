"""Which connection gives its place to others, and when one that waits is closed: by a clock of the test's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from app.web import connections
from app.web.connections import ANSWER_S, BODY_S, HEAD_S, EvictingProtocol


@dataclass
class Clock:
    """An event loop's time, and what it was asked to call later."""

    now: float = 100.0
    later: list[Callable[[], None]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, _delay: float, call: Callable[[], None]) -> None:
        self.later.append(call)

    def pass_time(self, seconds: float) -> None:
        """Let the time pass, and make the calls that were due."""
        self.now += seconds
        due, self.later = self.later, []
        for call in due:
            call()


class Transport:
    """A client's connection: whether it was cut, and whether it is being closed."""

    aborted = closing = False

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closing or self.aborted

    def get_extra_info(self, _name: str, default: object = None) -> object:
        return default


@dataclass
class Server:
    clock: Clock = field(default_factory=Clock)
    state: ServerState = field(default_factory=ServerState)

    def connect(self) -> tuple[EvictingProtocol, Transport]:
        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            raise AssertionError

        loop: Any = self.clock
        config = Config(app, log_config=None)
        protocol, transport = EvictingProtocol(config, self.state, {}, loop), Transport()
        protocol.connection_made(transport)  # pyright: ignore[reportArgumentType] - as far as it is used
        return protocol, transport


@pytest.fixture
def server() -> Server:
    return Server()


def ask(protocol: EvictingProtocol, more_body: bool = False) -> None:
    """Put the connection into the middle of a request, whose body has come whole or not."""
    cycle: Any = SimpleNamespace(response_complete=False, more_body=more_body)
    protocol.cycle = cycle


def test_the_one_that_has_waited_longest_gives_its_place(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_WAITING", 3)
    busy, busy_transport = server.connect()
    ask(busy)
    transports: list[Transport] = []
    for _ in range(3):
        server.clock.now += 1
        transports.append(server.connect()[1])
    assert [transport.aborted for transport in transports] == [True, False, False]
    assert not busy_transport.aborted
    assert len(server.state.connections) == 3


def test_where_all_are_answered_nobody_gives_place(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_WAITING", 1)
    first, transport = server.connect()
    ask(first)
    _, second = server.connect()
    assert (transport.aborted, second.aborted, len(server.state.connections)) == (False, False, 2)


def test_a_head_that_does_not_come_whole_is_waited_for_so_long(server: Server) -> None:
    protocol, transport = server.connect()
    server.clock.pass_time(HEAD_S - 1)
    protocol.data_received(b"GET / HTTP/1.1\r\n")  # a part of a head buys no more time
    assert not transport.aborted
    server.clock.pass_time(2)
    assert transport.aborted
    assert protocol not in server.state.connections
    server.clock.pass_time(100)
    assert server.clock.later == []  # it is looked at no more


@pytest.mark.parametrize(("more_body", "limit"), [(True, BODY_S), (False, ANSWER_S)])
def test_a_body_and_an_answer_have_to_move(more_body: bool, limit: float, server: Server) -> None:
    protocol, transport = server.connect()
    ask(protocol, more_body)
    if not more_body:
        protocol.pause_writing()  # the client does not read its answer
    server.clock.pass_time(limit - 1)
    protocol.moved_at = server.clock.now  # some of it came, or was read
    server.clock.pass_time(limit - 1)
    assert not transport.aborted
    server.clock.pass_time(2)
    assert transport.aborted


def test_a_slow_answer_of_the_server_costs_no_connection(server: Server) -> None:
    protocol, transport = server.connect()
    ask(protocol)
    for _ in range(5):
        server.clock.pass_time(ANSWER_S)
    assert not transport.aborted
    assert not protocol.waits()


def test_after_an_answer_the_time_for_the_next_head_begins_anew(server: Server) -> None:
    protocol, transport = server.connect()
    ask(protocol)
    server.clock.pass_time(HEAD_S + 1)
    cycle: Any = SimpleNamespace(response_complete=True, more_body=False)
    protocol.cycle = cycle
    protocol.on_response_complete()
    server.clock.later = server.clock.later[
        :1
    ]  # without uvicorn's own, which keeps connections alive for less
    server.clock.pass_time(HEAD_S - 1)
    assert protocol.waits()
    assert not transport.aborted
    server.clock.pass_time(2)
    assert transport.aborted


def test_a_connection_that_is_being_closed_is_left_alone(server: Server) -> None:
    _, transport = server.connect()
    transport.closing = True
    server.clock.pass_time(10 * HEAD_S)
    assert not transport.aborted
    assert server.clock.later == []
