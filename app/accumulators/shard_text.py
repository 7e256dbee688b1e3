"""The text of a shard as its attention is summed by token: which tokens occur, and where they are in each batch."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64
from numpy.typing import NDArray
from torch import Tensor

from app.accumulators.segments import Segments
from app.statistics.arrays import Ints


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Consecutive sequences of a shard, on the device of its statistics. One serves all layers."""

    first: int  # the place in the shard of the first position
    counted: Bool[Tensor, "sequence pos"]
    token: Int64[Tensor, " token"]  # the different tokens, as places in the shard's vocabulary
    by_token: Int64[Tensor, " position"]  # every position of the batch, in the order of `token`
    segments: Segments  # how many of these are of each token

    @property
    def n_positions(self) -> int:
        """Positions of a sequence."""
        return self.counted.shape[1]


@dataclass(frozen=True, eq=False)
class ShardText:
    """The tokens of a shard's sequences, each known by its place among the different ones, and which of them count."""

    counted: NDArray[np.bool_]  # [sequence pos] destinations: no BOS, no padding
    token_id: Ints  # [tokens] the different ones, ascending
    place: Ints  # [sequence pos] of each position's token among them
    n_destinations: Ints  # [tokens] how often each is a destination
    n_sources: (
        Ints  # [tokens] how often each is where a destination can read it: up to the last one of its sequence
    )

    @classmethod
    def of(cls, tokens: NDArray[np.integer], counted: NDArray[np.bool_]) -> "ShardText":
        """tokens, counted: [sequence pos]."""
        token_id, place = np.unique(tokens, return_inverse=True)
        place = place.reshape(tokens.shape).astype(np.int64)
        readable = counted[:, ::-1].cumsum(axis=1)[:, ::-1] > 0
        n_destinations, n_sources = (
            np.bincount(place[chosen], minlength=len(token_id)).astype(np.int64)
            for chosen in (counted, readable)
        )
        return cls(counted, token_id.astype(np.int64), place, n_destinations, n_sources)

    def batch(self, start: int, stop: int, device: torch.device) -> TextBatch:
        """The sequences start:stop of the shard."""
        token, row = np.unique(self.place[start:stop], return_inverse=True)
        row = row.reshape(-1).astype(np.int64)
        by_token = np.argsort(row, kind="stable")
        segments = Segments.of(torch.from_numpy(row[by_token]), len(token))
        return TextBatch(
            first=start * self.counted.shape[1],
            counted=torch.from_numpy(self.counted[start:stop]).to(device),
            token=torch.from_numpy(token).to(device),
            by_token=torch.from_numpy(by_token).to(device),
            segments=segments.to(device),
        )
