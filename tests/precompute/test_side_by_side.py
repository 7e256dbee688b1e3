"""Work in several threads: results in order, none lost, and torch's threads as they were told."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch

from app.precompute.side_by_side import in_turn, side_by_side

CPU = torch.device("cpu")


def test_results_come_in_the_order_of_the_items_whoever_ends_first() -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert second_is_done.wait(10)  # which a single thread would not see
        if item == 1:
            second_is_done.set()
        return item * 10

    assert side_by_side(work, range(5), CPU, 2) == [0, 10, 20, 30, 40]


def test_torch_computes_with_one_thread_in_each_and_with_as_many_as_before_outside() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert side_by_side(lambda _: torch.get_num_threads(), range(4), CPU, 2) == [1, 1, 1, 1]
        assert list(in_turn([torch.get_num_threads] * 2, CPU, 2)) == [1, 1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_pieces_are_worked_on_while_the_caller_has_others_and_only_so_many() -> None:
    asked: list[int] = []
    third_has_begun = threading.Event()

    def pieces() -> Iterator[Callable[[], int]]:
        for number in range(7):
            asked.append(number)
            yield partial(piece, number)

    def piece(number: int) -> int:
        if number == 2:
            third_has_begun.set()
        return number

    results = in_turn(pieces(), CPU, 2)
    assert asked == []
    assert next(results) == 0
    assert third_has_begun.wait(10)  # while the caller has the first
    assert asked == [0, 1, 2, 3]
    assert list(results) == [1, 2, 3, 4, 5, 6]


def test_pieces_give_their_results_in_turn_whichever_ends_first() -> None:
    second_is_done = threading.Event()

    def first() -> str:
        assert second_is_done.wait(10)  # which a single thread would not see
        return "first"

    def second() -> str:
        second_is_done.set()
        return "second"

    assert list(in_turn([first, second], CPU, 2)) == ["first", "second"]


def test_nothing_to_do_gives_nothing() -> None:
    assert side_by_side(str, [], CPU, 2) == []
    assert list(in_turn([], CPU, 1)) == []


def test_errors_come_to_the_caller_when_their_turn_comes() -> None:
    def work(item: int) -> float:
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, [1, 0, 2], CPU, 2)
    results = in_turn([partial(work, item) for item in (1, 0, 2)], CPU, 2)
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_caller_that_stops_early_leaves_no_thread() -> None:
    done: list[int] = []
    results = in_turn([partial(done.append, number) for number in range(10)], CPU, 1)
    next(results)
    del results  # which ends the generator
    assert done in ([0], [0, 1])  # what was not begun is not done
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("side-by-side")]


def test_an_accelerator_is_asked_by_the_calling_thread_alone() -> None:
    gpu, here = torch.device("cuda"), threading.get_ident()
    assert side_by_side(lambda _: threading.get_ident(), range(3), gpu, 2) == [here] * 3
    assert list(in_turn([threading.get_ident] * 3, gpu, 2)) == [here] * 3
