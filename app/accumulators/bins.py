"""Counts by feature and bin of activation, and the first inner edge of the intervals, on any device."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int32, Int64
from torch import Tensor

from app.accumulators.kept import run_starts
from app.domain.records import N_INTERVALS
from app.statistics.activation_bins import BIN_EDGES, BinCounts


@dataclass(frozen=True, eq=False)
class CountedBins:
    """Numbers of active tokens by feature and bin, of bins with any."""

    unit: Int64[Tensor, " cell"]  # as in `BinCounts`, ascending
    n: Int64[Tensor, " cell"]

    @classmethod
    def empty(cls, device: torch.device) -> "CountedBins":
        none = torch.empty(0, dtype=torch.int64, device=device)
        return cls(none, none)

    def add(self, unit: Int64[Tensor, " pair"]) -> "CountedBins":
        """With one more token for each unit, which come in any order."""
        new, n_new = torch.unique_consecutive(unit.sort().values, return_counts=True)
        unit, index = torch.cat([self.unit, new]).sort()
        up_to = torch.cat([self.n, n_new])[index].cumsum(dim=0)  # whole numbers: exact in any order
        starts = run_starts(unit).nonzero()[:, 0]
        ends = torch.cat([starts[1:], starts.new_full((min(len(starts), 1),), len(unit))])
        return CountedBins(unit[starts], up_to[ends - 1].diff(prepend=up_to.new_zeros(1)))

    def bin_counts(self) -> BinCounts:
        """The same as a leaf of the partial."""
        return BinCounts(self.unit.numpy(force=True), self.n.numpy(force=True))


def first_inner_bin(max_bits: Int32[Tensor, " d_sae"]) -> Int64[Tensor, " d_sae"]:
    """The bin at which the second interval of (0, max] begins, as `interval_bins` has it.

    max_bits: of the float32 maxima.
    """
    edges: Float64[Tensor, " edge"] = torch.from_numpy(BIN_EDGES).to(max_bits.device)
    maximum = max_bits.view(torch.float32).double()
    last = torch.searchsorted(edges, maximum, right=True) - 1
    exact = maximum / N_INTERVALS
    below = torch.searchsorted(edges, exact, right=True) - 1
    nearest = below + (exact >= (edges[below] + edges[below + 1]) / 2)
    return torch.minimum(nearest, last)
