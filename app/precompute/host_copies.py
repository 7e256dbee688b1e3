"""Copies of a device's tensors on the host, for a thread that writes them while the device computes on."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from app.statistics.arrays import AnyArray


@dataclass(frozen=True, eq=False)
class HostCopies:
    """Tensors of one device that will be copied, and on CUDA the event after which they are whole.

    They hold their memory on the device until they are dropped.
    """

    tensors: Mapping[str, Tensor]
    ready: torch.cuda.Event | None

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "HostCopies":
        """To be called in the thread that computes them."""
        device = next(iter(tensors.values())).device
        if device.type != "cuda":
            return cls(tensors, None)
        ready = torch.cuda.Event()
        ready.record(torch.cuda.current_stream(device))
        return cls(tensors, ready)

    def arrays(self) -> dict[str, AnyArray]:
        """The tensors on the host, in any thread. From CUDA they are copied to pinned memory, in a stream of their own.

        Pinned memory is what a copy that blocks nothing goes to; torch keeps it for the next one.
        """
        if self.ready is None:
            return {name: tensor.numpy(force=True) for name, tensor in self.tensors.items()}
        stream = torch.cuda.Stream(next(iter(self.tensors.values())).device)
        stream.wait_event(self.ready)
        with torch.cuda.stream(stream):
            copies = {name: tensor.to("cpu", non_blocking=True) for name, tensor in self.tensors.items()}
        stream.synchronize()
        return {name: copy.numpy() for name, copy in copies.items()}
