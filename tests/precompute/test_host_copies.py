"""Copies on the host: the CPU's at once; CUDA's in a stream of their own, by a stand-in that notes calls."""

from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from app.precompute.host_copies import HostCopies


def test_arrays_are_the_tensors():
    tensors = {
        "short": torch.tensor([1, 65535]).to(torch.uint16),
        "strided": torch.arange(12.0).view(3, 4)[:, ::2],
        "of a gradient": torch.ones(2, requires_grad=True) * 3,
    }
    arrays = HostCopies.of(tensors).arrays()
    assert arrays["short"].dtype == np.uint16
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "short": [1, 65535],
        "strided": [[0, 2], [4, 6], [8, 10]],
        "of a gradient": [3, 3],
    }


class Cuda:
    """Streams and tensors of CUDA that note what is asked of them, in order."""

    device = torch.device("cuda:1")

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.current = "default"

    def current_stream(self, device: torch.device) -> Any:
        assert device == self.device
        return "the stream that computes"

    def make_event(self) -> Any:
        return type("Event", (), {"record": lambda _, stream: self.calls.append(f"record in {stream}")})()

    def make_stream(self, device: torch.device) -> Any:
        assert device == self.device
        return type(
            "Stream",
            (),
            {
                "wait_event": lambda _, event: self.calls.append(f"wait for {type(event).__name__}"),
                "synchronize": lambda _: self.calls.append("synchronize"),
            },
        )()

    @contextmanager
    def stream(self, _: object):
        self.current = "its own"
        yield
        self.current = "default"

    def tensor(self, values: list[float]) -> Any:
        def to(_: object, device: str, *, non_blocking: bool) -> torch.Tensor:
            self.calls.append(f"copy to {device} in {self.current}, non-blocking {non_blocking}")
            return torch.tensor(values)

        return type("Tensor", (), {"device": self.device, "to": to})()


def test_copies_from_cuda_begin_when_the_tensors_are_whole_and_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
):
    cuda = Cuda()
    monkeypatch.setattr(torch.cuda, "current_stream", cuda.current_stream)
    monkeypatch.setattr(torch.cuda, "Event", cuda.make_event)
    monkeypatch.setattr(torch.cuda, "Stream", cuda.make_stream)
    monkeypatch.setattr(torch.cuda, "stream", cuda.stream)
    copies = HostCopies.of({"a": cuda.tensor([1, 2]), "b": cuda.tensor([3])})
    record = "record in the stream that computes"
    assert cuda.calls == [record]
    arrays = copies.arrays()
    copy = "copy to cpu in its own, non-blocking True"
    assert cuda.calls == [record, "wait for Event", copy, copy, "synchronize"]
    assert {name: array.tolist() for name, array in arrays.items()} == {"a": [1, 2], "b": [3]}
