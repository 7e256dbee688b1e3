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

_MOST_LAYERS, _DENSE_BYTES = 4, 2**30  # that are worked on at once, as far as their dense activations fit
_WAITING = 2  # layers of a worker: one that is worked on, and one that waits
_PIECES = 2  # of work on a layer of one batch, at most: its pattern, and its activations


@dataclass(frozen=True)
class Threads:
    """How the threads of a run are shared out."""

    whole: int
    n_workers: int  # that work on layers beside the forward pass; 0: layers are worked on within it
    layers_at_once: int  # that are worked on at once when there is no forward pass

    @classmethod
    def of(cls, threads: int, device: str, n_saes: int, n_layers: int, dense_bytes: int) -> "Threads":
        """dense_bytes: what encoding a batch of the widest layer takes. Nothing goes on beside an accelerator.

        A layer's own work takes about as long as its part of the forward pass.
        """
        if torch.device(device).type != "cpu":
            return cls(threads, 0, 1)
        share, at_once = n_saes / (n_saes + n_layers), min(threads, most_layers(dense_bytes))
        return cls(threads, min(round(threads * share), threads - 1, at_once), at_once)

    @property
    def forward(self) -> int:
        """Torch's threads in a forward pass of all layers with an SAE."""
        return self.whole - self.n_workers

    @property
    def layer(self) -> int:
        """Torch's threads in the work on one layer."""
        return 1 if self.n_workers else self.whole

    @property
    def layers_in_memory(self) -> int:
        """The most layers whose activations are in memory together: that of the forward pass, and those of workers."""
        return 1 + _WAITING * self.n_workers


def encoding_bytes(n_positions: int, d_sae: int) -> int:
    """Bytes of what is dense while a layer of a batch is encoded: four times [position d_sae], in float32."""
    return 4 * 4 * n_positions * d_sae


def most_layers(dense_bytes: int) -> int:
    """How many layers may be worked on at once, if encoding a batch of one takes so much memory."""
    return max(1, min(_MOST_LAYERS, _DENSE_BYTES // max(dense_bytes, 1)))


class LayerWorkers:
    """Does the pieces of work of each layer in the order in which they are added. Leaving the block waits for all.

    An error of the work is raised by a later `add`, or by leaving the block.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads, self._helps = threads, threads.n_workers < threads.layers_at_once
        # A thread of its own for each, so that the batches of a layer stay in their order.
        self._pools = [
            ThreadPoolExecutor(1, "layers", initializer=torch.set_num_threads, initargs=(threads.layer,))
            for _ in range(threads.n_workers)
        ]
        self._begun: list[deque[tuple[int, Future[None]]]] = [deque() for _ in self._pools]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown(cancel_futures=error is not None)
        if error is None:
            for _, future in (each for begun in self._begun for each in begun):
                future.result()

    def add(self, layer: int, work: Callable[[], None]) -> None:
        """Have a piece of work done, by the caller where the layer's worker has enough other layers to work on.

        Who does it changes nothing: torch computes with as many threads. Waits instead where one more layer at once
        does not fit in memory, and where earlier pieces of the same layer are not done.
        """
        if not self._pools:
            self._do(work)
            return
        place = layer % len(self._pools)
        begun = self._begun[place]
        while begun and (begun[0][1].done() or self._is_enough(begun, layer)):
            if not begun[0][1].done() and self._helps and all(other != layer for other, _ in begun):
                self._do(work)
                return
            begun.popleft()[1].result()
        begun.append((layer, self._pools[place].submit(work)))

    def _do(self, work: Callable[[], None]) -> None:
        with torch.inference_mode(False), torch_threads(self._threads.layer):
            work()

    @staticmethod
    def _is_enough(begun: "deque[tuple[int, Future[None]]]", layer: int) -> bool:
        return len({layer, *(other for other, _ in begun)}) > _WAITING or len(begun) == _WAITING * _PIECES
