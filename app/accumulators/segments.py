"""Sums by feature that come out the same on every device: each is added up by one thread, in a fixed order."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from app.accumulators.kept import places_in_runs

# Rows that one thread adds up: of a feature that is active on every token, many threads add a block each.
BLOCK = 32


@dataclass(frozen=True, eq=False)
class Segments:
    """Rows that are ordered by feature, cut into blocks of at most BLOCK rows of one feature."""

    n: Int64[Tensor, " d_sae"]  # rows of each feature
    block_size: Int64[Tensor, " block"]
    n_blocks: Int64[Tensor, " d_sae"]

    @classmethod
    def of(cls, feature: Int64[Tensor, " row"], d_sae: int) -> "Segments":
        """feature: ascending."""
        starts = (places_in_runs(feature) % BLOCK == 0).nonzero()[:, 0]
        ends = torch.cat([starts[1:], starts.new_full((min(len(starts), 1),), len(feature))])
        return cls(_lengths(feature, d_sae), ends - starts, _lengths(feature[starts], d_sae))

    def to(self, device: torch.device) -> "Segments":
        return Segments(self.n.to(device), self.block_size.to(device), self.n_blocks.to(device))

    def sum(self, rows: Float64[Tensor, "row column"]) -> Float64[Tensor, "d_sae column"]:
        """The sum of each feature's rows, 0 without any. At least two columns: one alone is summed in another way."""
        return _sums(_sums(rows, self.block_size), self.n_blocks)


def _lengths(feature: Int64[Tensor, " row"], d_sae: int) -> Int64[Tensor, " d_sae"]:
    edges = torch.arange(d_sae + 1, device=feature.device)
    return torch.searchsorted(feature, edges).diff()


def _sums(
    rows: Float64[Tensor, "row column"], lengths: Int64[Tensor, " segment"]
) -> Float64[Tensor, "segment column"]:
    if not len(rows):
        return rows.new_zeros((len(lengths), rows.shape[1]))
    return torch.segment_reduce(rows, "sum", lengths=lengths, axis=0, unsafe=True)
