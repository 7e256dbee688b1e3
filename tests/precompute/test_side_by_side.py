"""Work in several threads: results in order, none lost, and torch's threads as they were told."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from app.precompute.side_by_side import one_ahead, side_by_side

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
        assert list(one_ahead((torch.get_num_threads() for _ in "ab"), CPU, 2)) == [2, 2]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_one_is_made_ahead_and_no_more() -> None:
    begun: list[int] = []
    second_has_begun = threading.Event()

    def items() -> Iterator[int]:
        for item in range(4):
            begun.append(item)
            if item == 1:
                second_has_begun.set()
            yield item

    results = one_ahead(items(), CPU, 1)
    assert begun == []
    assert next(results) == 0
    assert second_has_begun.wait(10)  # while the caller has the first
    assert begun == [0, 1]
    assert list(results) == [1, 2, 3]


def test_nothing_to_do_gives_nothing() -> None:
    assert side_by_side(str, [], CPU, 2) == []
    assert list(one_ahead([], CPU, 1)) == []


def test_errors_come_to_the_caller_when_their_turn_comes() -> None:
    def work(item: int) -> float:
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, [1, 0, 2], CPU, 2)
    results = one_ahead(map(work, [1, 0, 2]), CPU, 1)
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_caller_that_stops_early_leaves_no_thread() -> None:
    results = one_ahead(map(np.sqrt, range(10)), CPU, 1)
    next(results)
    del results  # which ends the generator
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("side-by-side")]


def test_an_accelerator_is_asked_by_the_calling_thread_alone() -> None:
    gpu, here = torch.device("cuda"), threading.get_ident()
    assert side_by_side(lambda _: threading.get_ident(), range(3), gpu, 2) == [here] * 3
    assert list(one_ahead((threading.get_ident() for _ in range(3)), gpu, 2)) == [here] * 3
