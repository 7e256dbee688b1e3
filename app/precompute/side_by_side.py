"""Work in several threads, whose results come in the order of the work: the same ones, however many threads there are.

Each thread has torch compute with a number of threads of its own that does not depend on what else is running.
Where torch computes on an accelerator, all is done in the calling thread: no device is asked by two at once.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar, cast

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device | str, n_threads: int
) -> list[Result]:
    """The result of each item, made by n_threads threads in each of which torch computes with one.

    The first error is raised once the items that were begun are done.
    """
    if torch.device(device).type != "cpu":
        return list(map(work, items))
    if n_threads == 1:
        with torch_threads(1):
            return list(map(work, items))
    with _pool(n_threads, 1) as pool:
        return list(pool.map(work, items))


def one_ahead(items: Iterable[Item], device: torch.device | str, torch_threads: int) -> Generator[Item]:
    """The items. While the caller uses one, the next is made in a thread of its own, and no more.

    An error of an item is raised when its turn comes.
    """
    if torch.device(device).type != "cpu":
        yield from items
        return
    making, end = iter(items), object()
    with _pool(1, torch_threads) as pool:
        item = pool.submit(next, making, end).result()
        while item is not end:
            following = pool.submit(next, making, end)
            yield cast("Item", item)
            item = following.result()


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Torch computes with n threads in this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pool(n_threads: int, torch_threads: int) -> ThreadPoolExecutor:
    # What torch is told in a thread holds for this thread alone.
    return ThreadPoolExecutor(
        n_threads, "side-by-side", initializer=torch.set_num_threads, initargs=(torch_threads,)
    )
