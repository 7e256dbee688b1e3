"""The sums of one layer and shard, in float64."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from app.accumulators.batches import PairBatch
from app.accumulators.segments import Segments
from app.statistics.arrays import Floats
from app.statistics.feature_sums import FeatureSums
from app.statistics.leaves import Count, Total
from app.statistics.moments import CoMoments, GroupedCoMoments

_BLOCKS_OF_Z = 4  # of the co-moment's rows: five eighths of it are computed


class LayerSums:
    """Grows with each batch; differs from numpy's `FeatureSums.add` by the rounding of another order."""

    def __init__(self, empty: FeatureSums, device: torch.device) -> None:
        d_sae, n_heads = empty.active.mean_c.shape
        (d_in,) = empty.z.mean.shape

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self._n_tokens = 0
        self._n = torch.zeros(d_sae, dtype=torch.int64, device=device)
        self._activation_sum, self._squared_error = zeros(d_sae), zeros()
        self._mean = zeros(d_sae, 1 + n_heads)  # of p, then of each head's c
        self._squares = zeros(d_sae, 1 + 2 * n_heads)  # m2 of p, m2 of each c, co-moment of each c and p
        self._z_mean, self._z_comoment = zeros(d_in), zeros(d_in, d_in)
        edges = [i * d_in // _BLOCKS_OF_Z for i in range(_BLOCKS_OF_Z + 1)]
        self._z_rows = [slice(start, stop) for start, stop in pairwise(edges) if start < stop]

    def add(self, batch: PairBatch) -> None:
        """Add one batch."""
        self._squared_error += batch.squared_error
        self._add_pairs(batch)
        if len(batch.z):
            self._add_z(batch.z)

    def _add_pairs(self, batch: PairBatch) -> None:
        """Moments of the batch by two passes, merged as `GroupedCoMoments.merge` does it."""
        segments = Segments.of(batch.feature, len(self._n))
        columns = (batch.activation[:, None], batch.pre_activation[:, None], batch.contribution)
        values = torch.cat(columns, dim=1).double()
        sums = segments.sum(values)
        mean = sums[:, 1:] / segments.n.clamp(min=1)[:, None]
        deviation = values[:, 1:] - mean[batch.feature]
        of_p, of_c = deviation[:, :1], deviation[:, 1:]
        squares = segments.sum(torch.cat([of_p * of_p, of_c * of_c, of_c * of_p], dim=1))
        n = self._n + segments.n
        share = segments.n / n.clamp(min=1).double()
        delta = mean - self._mean
        shift = delta * (self._n * share)[:, None]
        of_p, of_c = delta[:, :1], delta[:, 1:]
        self._squares += squares
        self._squares += torch.cat([of_p * shift[:, :1], of_c * shift[:, 1:], of_c * shift[:, :1]], dim=1)
        self._mean += delta * share[:, None]
        self._activation_sum += sums[:, 0]
        self._n = n

    def _add_z(self, z: Float[Tensor, "token d_in"]) -> None:
        values = z.float().double()
        mean = values.mean(dim=0)
        values -= mean
        share = len(z) / (self._n_tokens + len(z))
        delta = mean - self._z_mean
        for rows in self._z_rows:  # what is left of the diagonal's blocks mirrors what is right of them
            start = rows.start
            self._z_comoment[rows, start:].addmm_(values[:, rows].T, values[:, start:])
        self._z_comoment += torch.outer(delta, delta) * (self._n_tokens * share)
        self._z_mean += delta * share
        self._n_tokens += len(z)

    def total(self) -> FeatureSums:
        """The sums of all batches. Raises ValueError on one that is not finite."""
        n_heads = self._mean.shape[1] - 1
        host = [part.cpu() for part in (self._mean, self._squares, self._z_mean, self._z_comoment)]
        if not all(part.isfinite().all() for part in host):
            raise ValueError("a sum over active tokens, or of z, is not finite")
        mean, squares, z_mean, z_comoment = host
        z_comoment = z_comoment.triu() + z_comoment.triu(1).T
        m2_p, m2_c, co_cp = squares.split([1, n_heads, n_heads], dim=1)
        n_tokens = Count.of(self._n_tokens)
        return FeatureSums(
            n_tokens=n_tokens,
            activation_sum=Total.of(self._activation_sum.numpy(force=True)),
            active=GroupedCoMoments(
                n=self._n.numpy(force=True),
                mean_c=_array(mean[:, 1:]),
                m2_c=_array(m2_c),
                mean_p=_array(mean[:, 0]),
                m2_p=_array(m2_p[:, 0]),
                co_cp=_array(co_cp),
            ),
            z=CoMoments(n_tokens.total, z_mean.numpy(), z_comoment.numpy()),
            squared_error=Total.of(self._squared_error.numpy(force=True)),
        )


def _array(part: Tensor) -> Floats:
    return np.ascontiguousarray(part.numpy())
