"""Work in a thread of its own: in order, one piece behind at most, and no error is lost."""

import threading
from collections.abc import Callable

import pytest

from app.precompute.write_behind import WriteBehind


def _fail() -> None:
    raise OSError("the disk is full")


def test_pieces_are_done_one_after_the_other_beside_the_caller():
    done: list[int] = []
    may_go = threading.Event()

    def first() -> None:
        assert may_go.wait(10)
        done.append(1)

    with WriteBehind() as writer:
        writer.add(first)
        assert done == []  # the caller goes on while it runs
        may_go.set()
        writer.add(lambda: done.append(2))
        assert done[0] == 1  # the one before is done when the next begins
        writer.wait()
        assert done == [1, 2]
        writer.add(lambda: done.append(3))
    assert done == [1, 2, 3]


def _divide(n: int) -> None:
    1 / n


def _write(first: Callable[[], None], then: Callable[[WriteBehind], None]) -> None:
    with WriteBehind() as writer:
        writer.add(first)
        then(writer)


@pytest.mark.parametrize(
    "then", [lambda writer: writer.add(lambda: None), lambda writer: writer.wait(), lambda writer: None]
)
def test_an_error_comes_to_the_caller(then: Callable[[WriteBehind], None]):
    with pytest.raises(OSError, match="disk is full"):
        _write(_fail, then)


def test_what_follows_an_error_is_not_done():
    done: list[int] = []
    with pytest.raises(OSError, match="disk is full"):
        _write(_fail, lambda writer: writer.add(lambda: done.append(1)))
    assert done == []


def test_the_callers_own_error_is_the_one_that_is_told():
    with pytest.raises(ZeroDivisionError):
        _write(_fail, lambda writer: _divide(0))
