"""Threads that work on layers while the forward pass goes on, where many layers have an SAE.

A layer's own work (encoding, statistics) is mostly that of one core: between forward passes of many threads it would
leave all cores but one idle. How threads are shared out follows from the plan alone, since the last bits of a run
depend on it.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from app.precompute.side_by_side import torch_threads

_MOST_LAYERS = 4  # that are worked on at once: each holds a batch of dense activations
_WAITING = 2  # layers of a worker: one that is worked on, and one that waits


@dataclass(frozen=True)
class Threads:
    """How the threads of a run are shared out."""

    whole: int
    n_workers: int  # that work on layers beside the forward pass; 0: layers are worked on within it

    @classmethod
    def of(cls, threads: int, device: str, n_saes: int, n_layers: int) -> "Threads":
        """A layer's own work takes about as long as its part of the forward pass. None beside an accelerator."""
        if torch.device(device).type != "cpu":
            return cls(threads, 0)
        share = n_saes / (n_saes + n_layers)
        return cls(threads, min(round(threads * share), threads - 1, _MOST_LAYERS))

    @property
    def forward(self) -> int:
        """Torch's threads in a forward pass of all layers with an SAE."""
        return self.whole - self.n_workers

    @property
    def layer(self) -> int:
        """Torch's threads in the work on one layer."""
        return 1 if self.n_workers else self.whole

    @property
    def layers_at_once(self) -> int:
        """Layers that are worked on at once when there is no forward pass."""
        return min(self.whole, _MOST_LAYERS)

    @property
    def layers_in_memory(self) -> int:
        """The most layers whose activations are in memory together: that of the forward pass, and those of workers."""
        return 1 + _WAITING * self.n_workers


class LayerWorkers:
    """Does the work of each layer in the order in which it is added. Leaving the block waits for all of it.

    An error of the work is raised by a later `add`, or by leaving the block.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        # A thread of its own for each, so that the batches of a layer stay in their order.
        self._pools = [
            ThreadPoolExecutor(1, "layers", initializer=torch.set_num_threads, initargs=(threads.layer,))
            for _ in range(threads.n_workers)
        ]
        self._begun: list[deque[Future[None]]] = [deque() for _ in self._pools]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=error is not None)
        if error is None:
            for future in (future for begun in self._begun for future in begun):
                future.result()

    def add(self, layer: int, work: Callable[[], None]) -> None:
        """Have the work done; waits while the layer's worker has enough to do."""
        if not self._pools:
            with torch.inference_mode(False), torch_threads(self._threads.layer):
                work()
            return
        place = layer % len(self._pools)
        begun = self._begun[place]
        if len(begun) == _WAITING:
            begun.popleft().result()
        begun.append(self._pools[place].submit(work))
