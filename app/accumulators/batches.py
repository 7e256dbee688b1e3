"""What the accumulators of a shard read: its tokens, once, and the active pairs of each batch."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor

from app.statistics.arrays import Ints
from app.statistics.kept_tokens import MAX_TOKEN_INDEX, sampling_rank, token_key

MAX_TOKENS = 2**31 - 1  # of a shard: their places have 32 bits


@dataclass(frozen=True, eq=False)
class ShardTokens:
    """The tokens of one shard, counted or not: consecutive tokens of the corpus from `first` on.

    Raises ValueError where their indices do not fit their bits.
    """

    first: int
    text: Int64[Tensor, " token"]  # equal for tokens whose texts are, as `text_keys` has it
    sampling_quality: Int64[Tensor, " token"]  # its place by `sampling_rank`, no two the same

    @classmethod
    def of(cls, first: int, text: Ints, seed: int, device: torch.device | str = "cpu") -> "ShardTokens":
        if not 0 <= first <= first + len(text) <= MAX_TOKEN_INDEX + 1 or len(text) > MAX_TOKENS:
            raise ValueError(f"token indices must be in 0..{MAX_TOKEN_INDEX}")
        token_index = np.arange(first, first + len(text))
        rank = sampling_rank(token_index, seed)
        quality = np.empty(len(text), dtype=np.int64)
        quality[np.argsort(token_key(rank, token_index))] = np.arange(len(text))
        return cls(first, torch.from_numpy(text).to(device), torch.from_numpy(quality).to(device))

    @property
    def device(self) -> torch.device:
        return self.text.device


@dataclass(frozen=True, eq=False)
class PairBatch:
    """One batch of counted tokens: its active (token, feature) pairs by feature, then token, and z of its tokens.

    Everything is on the device of the shard's tokens.
    """

    feature: Int64[Tensor, " pair"]  # ascending
    token: Int64[Tensor, " pair"]  # its place in the shard
    activation: Float32[Tensor, " pair"]  # > 0
    pre_activation: Float32[Tensor, " pair"]
    contribution: Float32[Tensor, "pair n_heads"]
    z: Float[Tensor, "token d_in"]
    squared_error: Float64[Tensor, ""]  # sum over tokens of |z - reconstruction|^2
