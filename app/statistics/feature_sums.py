"""The sums over a layer's active pairs and tokens: what of its statistics depends on the order of addition."""

from dataclasses import dataclass

import numpy as np

from app.statistics.arrays import AnyArray, Floats32, Ints
from app.statistics.leaves import Count, Total
from app.statistics.moments import CoMoments, GroupedCoMoments


@dataclass(frozen=True)
class OrderedPairs:
    """What a batch adds to the sums: its active pairs by ascending feature, then token, and z of its tokens."""

    n_tokens: int
    feature: Ints  # [pairs]
    activation: Floats32  # [pairs]
    pre_activation: Floats32  # [pairs]
    contribution: Floats32  # [pairs n_heads]
    z: AnyArray  # [tokens d_in]
    squared_error: float  # sum over tokens of |z - reconstruction|^2


@dataclass(frozen=True)
class FeatureSums:
    """Sums by feature over its active tokens, of which there are `active.n`, and of z over all tokens."""

    n_tokens: Count  # []
    activation_sum: Total  # [d_sae]
    active: GroupedCoMoments
    z: CoMoments
    squared_error: Total  # []

    def add(self, batch: OrderedPairs) -> "FeatureSums":
        """These sums and those of one more batch. Raises ValueError on a value that is not finite."""
        d_sae = len(self.activation_sum.total)
        moments = GroupedCoMoments.of(batch.feature, batch.contribution, batch.pre_activation, d_sae)
        activation_sum = np.bincount(batch.feature, weights=batch.activation, minlength=d_sae)
        return FeatureSums(
            n_tokens=self.n_tokens.merge(Count.of(batch.n_tokens)),
            activation_sum=self.activation_sum.merge(Total.of(activation_sum)),
            active=self.active.merge(moments),
            z=self.z.merge(CoMoments.of(batch.z)),
            squared_error=self.squared_error.merge(Total.of(batch.squared_error)),
        )
