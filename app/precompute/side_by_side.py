"""Work in several threads, whose results come in the order of the work: the same ones, however many threads there are.

Each thread has torch compute with a number of threads of its own that does not depend on what else is running.
Where torch computes on an accelerator, all is done in the calling thread: no device is asked by two at once.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

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


def in_turn(
    pieces: Iterable[Callable[[], Result]], device: torch.device | str, n_threads: int
) -> Generator[Result]:
    """The result of each piece of work, made by n_threads threads in each of which torch computes with one.

    Pieces are asked for in the calling thread: as many as there are threads wait while as many are worked on. An error
    is raised when its piece's turn comes; a caller that stops early waits for the pieces that were begun.
    """
    if torch.device(device).type != "cpu":
        yield from (piece() for piece in pieces)
        return
    waiting: deque[Future[Result]] = deque()
    with _pool(n_threads, 1) as pool:
        try:
            for piece in pieces:
                waiting.append(pool.submit(piece))
                if len(waiting) == 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


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
