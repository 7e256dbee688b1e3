"""Writers of one process: in the order they came, and none waits for ever."""

import threading
import time

import pytest

from app.errors import StoreBusy
from app.store.database import sqlite
from app.store.database.engine import open_store, write_session
from app.store.database.fair_lock import FairLock
from tests.support.time_limits import less_than


def in_a_queue(turns, names, done):
    """Threads that take a turn each, queued in the order of their names."""
    threads = []
    for name in names:

        def take(name=name):
            with turns:
                done.append(name)

        thread = threading.Thread(target=take)
        before = len(turns._waiting)
        thread.start()
        while len(turns._waiting) == before:
            time.sleep(0.001)
        threads.append(thread)
    return threads


def test_turns_come_in_the_order_they_were_asked_for():
    turns, done = FairLock(10), []
    with turns:
        threads = in_a_queue(turns, "abcdefgh", done)
        assert done == []
    for thread in threads:
        thread.join(10)
    assert done == list("abcdefgh")
    with turns:  # and it is free again
        pass


def test_one_at_a_time():
    turns, inside, most = FairLock(10), 0, 0

    def work():
        nonlocal inside, most
        for _ in range(50):
            with turns:
                inside += 1
                most = max(most, inside)
                time.sleep(0.0002)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, inside) == (1, 0)


def test_who_waits_too_long_leaves_the_queue():
    turns, done = FairLock(0.1), []
    with turns:
        start = time.monotonic()
        with less_than(3), pytest.raises(StoreBusy, match="try again"), turns:
            pass
        assert time.monotonic() - start > 0.05
        assert not turns._waiting
        threads = in_a_queue(turns, "a", done)
    threads[0].join(10)
    assert done == ["a"]


def test_a_change_that_fails_gives_its_turn_back():
    turns = FairLock(0.1)
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    with turns:
        pass


def test_writers_of_a_file_go_in_turn(make_sqlite_store, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.3)
    engine = open_store(make_sqlite_store())
    with write_session(engine), pytest.raises(StoreBusy, match="others are writing"), write_session(engine):
        pass
    with write_session(engine):
        pass
    engine.dispose()
