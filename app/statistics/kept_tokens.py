"""Keep the k best tokens of each unit: exact, without ties, free of merging order and of any RNG state."""

from dataclasses import dataclass

import numpy as np

from app.statistics.arrays import AnyArray, Floats32, Ints, Record, require_same, run_starts

INDEX_BITS = 32
MAX_TOKEN_INDEX = 2**INDEX_BITS - 1
_WORD = 2**64
INFINITY_BITS = 0x7F800000  # NaNs are above, and negative numbers have the sign bit


def activation_rank(activation: Floats32) -> Ints:
    """31 bits in the order of the activations: the bits of a positive float32 are ordered as it is.

    Raises ValueError on NaN, infinity, zero and below: none of them is an active feature.
    """
    if activation.dtype != np.float32:
        raise TypeError(f"activations must be float32, not {activation.dtype}")
    bits = np.ascontiguousarray(activation).view(np.int32)
    # Judged by the bits: a library that flushes denormals would make some of them compare equal to 0.
    if not ((bits > 0) & (bits < INFINITY_BITS)).all():
        raise ValueError("an active feature's activation must be positive and finite")
    return bits.astype(np.int64)


def sampling_rank(token_index: Ints, seed: int) -> Ints:
    """31 fixed pseudo-random bits of each token: the finaliser of SplitMix64 (Steele et al. 2014)."""
    offset = np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % _WORD)
    x = (token_index.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) ^ offset
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(33)).astype(np.int64)


def token_key(rank: Ints, token_index: Ints) -> Ints:
    """The key by which tokens are kept: rank in the high half, and in the low one the token, the earlier the larger."""
    if len(token_index) and not 0 <= token_index.min() <= token_index.max() <= MAX_TOKEN_INDEX:
        raise ValueError(f"token indices must be in 0..{MAX_TOKEN_INDEX}")
    return rank << INDEX_BITS | (MAX_TOKEN_INDEX - token_index)


@dataclass(frozen=True, eq=False)
class TopTokens(Record):
    """The tokens with the k largest keys of each unit among tokens of different texts, by unit and then best first.

    Of tokens whose texts are equal the one with the largest key is meant: the k best of these are the same however
    tokens are split and merged. Only kept tokens take memory: a unit without tokens costs nothing. Units are in
    0..2^32-1.
    """

    unit: Ints  # [kept]
    key: Ints  # [kept]
    text: Ints  # [kept] equal for tokens that repeat each other, as `text_keys` has it
    k: int

    @classmethod
    def empty(cls, k: int) -> "TopTokens":
        none = np.empty(0, dtype=np.int64)
        return cls(none, none, none, k)

    @classmethod
    def of(cls, unit: Ints, key: Ints, text: Ints, k: int) -> "TopTokens":
        order = _best_first(unit, key)
        order = order[_is_first_of_text(unit[order], text[order])]
        unit = unit[order]
        starts = run_starts(unit)
        is_kept = np.arange(len(unit)) - np.repeat(starts, np.diff(starts, append=len(unit))) < k
        order = order[is_kept]
        return cls(unit[is_kept], key[order], text[order], k)

    def merge(self, other: "TopTokens") -> "TopTokens":
        require_same("k", self.k, other.k)
        return self.add(other.unit, other.key, other.text)

    def add(self, unit: Ints, key: Ints, text: Ints) -> "TopTokens":
        entering = self._may_enter(unit, key)
        if not entering.any():
            return self
        columns = ((self.unit, unit), (self.key, key), (self.text, text))
        unit, key, text = (np.concatenate([mine, new[entering]]) for mine, new in columns)
        return TopTokens.of(unit, key, text, self.k)

    def _may_enter(self, unit: Ints, key: Ints) -> AnyArray:
        """Which tokens may be among the k best of their unit; those below the last of its k need no sorting."""
        if not len(self.unit):
            return np.ones(len(unit), dtype=np.bool_)
        stop = np.searchsorted(self.unit, unit, side="right")
        first = np.maximum(stop - self.k, 0)
        full = (stop >= self.k) & (self.unit[np.minimum(first, len(self.unit) - 1)] == unit)
        return ~full | (key > self.key[np.maximum(stop - 1, 0)])

    def of_unit(self, unit: int) -> "TopTokens":
        start, stop = np.searchsorted(self.unit, [unit, unit + 1])
        return TopTokens(self.unit[start:stop], self.key[start:stop], self.text[start:stop], self.k)

    @property
    def token_index(self) -> Ints:
        return MAX_TOKEN_INDEX - (self.key & MAX_TOKEN_INDEX)

    @property
    def rank(self) -> Ints:
        return self.key >> INDEX_BITS

    @property
    def activation(self) -> Floats32:
        """The activations, where the rank is activation_rank."""
        return self.rank.astype(np.int32).view(np.float32)


def _best_first(unit: Ints, key: Ints) -> AnyArray:
    """Order by unit, then descending key. Two plain int64 sorts are several times faster than a lexsort."""
    descending = np.argsort(key)[::-1]
    return descending[np.argsort(unit[descending] << INDEX_BITS - 1 | np.arange(len(unit)))]


def _is_first_of_text(unit: Ints, text: Ints) -> AnyArray:
    """Whether no token before has the same unit and text; one number stands for both, as `text` does for six tokens."""
    both = text ^ (unit.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).view(np.int64)
    order = np.argsort(both)
    is_first = np.zeros(len(unit), dtype=np.bool_)
    if len(unit):
        is_first[np.minimum.reduceat(order, run_starts(both[order]))] = True
    return is_first
