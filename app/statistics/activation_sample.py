"""A uniform sample of each feature's active tokens per interval of activation, while its ends are unknown.

The intervals divide (0, max] and the maximum is known only at the end. So each fixed bin keeps its own
sample, and bins that are wholly below the first inner edge share one: the maximum only grows, so they can
never again be apart. What is kept is a function of the set of tokens seen, whatever the order of merges.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.domain.records import N_INTERVALS
from app.statistics.activation_bins import UNIT_BITS, activation_bin, interval_bins
from app.statistics.arrays import Floats32, Ints, Record, require_same
from app.statistics.kept_tokens import TopTokens, sampling_rank, token_key

_SLOT_MASK = (1 << UNIT_BITS) - 1
_INTERVAL_BITS = 3
_LOW = 0  # the slot that bins below the first inner edge share; bin b has slot b + 1


@dataclass(frozen=True, eq=False)
class ActivationSample(Record):
    """Per feature and slot, the k tokens of different texts with the largest fixed hashes: a uniform sample.

    A text that is there several times is as many times as likely to be among them, once.
    """

    max_activation: Floats32  # [d_sae] 0 for a feature never active
    kept: TopTokens  # unit = feature << UNIT_BITS | slot
    seed: int

    @classmethod
    def empty(cls, d_sae: int, k: int, seed: int) -> "ActivationSample":
        return cls(np.zeros(d_sae, dtype=np.float32), TopTokens.empty(k), seed)

    def add(self, feature: Ints, activation: Floats32, token_index: Ints, text: Ints) -> "ActivationSample":
        """Add pairs of an active token and a feature. Raises ValueError on an activation that is not positive."""
        slot = activation_bin(activation) + 1
        max_activation = self.max_activation.copy()
        np.maximum.at(max_activation, feature, activation)
        key = token_key(sampling_rank(token_index, self.seed), token_index)
        return self._with(max_activation, feature << UNIT_BITS | slot, key, text)

    def merge(self, other: "ActivationSample") -> "ActivationSample":
        require_same("seed", self.seed, other.seed)
        require_same("k", self.kept.k, other.kept.k)
        require_same("shape", self.max_activation.shape, other.max_activation.shape)
        max_activation = np.maximum(self.max_activation, other.max_activation)
        return self._with(max_activation, other.kept.unit, other.kept.key, other.kept.text)

    def _with(self, max_activation: Floats32, unit: Ints, key: Ints, text: Ints) -> "ActivationSample":
        """Both sets of tokens under the new maxima, with slots that are now low collapsed."""
        first_high_bin = interval_bins(max_activation)[:, 1]
        columns = ((self.kept.unit, unit), (self.kept.key, key), (self.kept.text, text))
        unit, key, text = (np.concatenate(column) for column in columns)
        feature = unit >> UNIT_BITS
        high = (unit & _SLOT_MASK) > first_high_bin[feature]  # slot = bin + 1
        unit = np.where(high, unit, feature << UNIT_BITS | _LOW)
        return ActivationSample(max_activation, TopTokens.of(unit, key, text, self.kept.k), self.seed)

    @property
    def feature(self) -> Ints:
        """The feature of each kept token."""
        return self.kept.unit >> UNIT_BITS

    def samples(self, feature: int) -> tuple[TopTokens, ...]:
        """The tokens sampled from each of the five intervals, lowest interval first, at most k each."""
        first = feature << _INTERVAL_BITS
        return tuple(self._by_interval.of_unit(first + i) for i in range(N_INTERVALS))

    @cached_property
    def _by_interval(self) -> TopTokens:
        """The samples of all features. unit = feature << _INTERVAL_BITS | interval."""
        feature, slot = self.feature, self.kept.unit & _SLOT_MASK
        inner = interval_bins(self.max_activation)[feature, 1:N_INTERVALS]
        interval = np.where(slot == _LOW, 0, (inner <= (slot - 1)[:, None]).sum(axis=1))
        return TopTokens.of(feature << _INTERVAL_BITS | interval, self.kept.key, self.kept.text, self.kept.k)
