"""The k best tokens of each unit, as `statistics/kept_tokens` defines them, on any device."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int32, Int64
from torch import Tensor

from app.accumulators.batches import ShardTokens

QUALITY_BITS = 31
QUALITY_MASK = (1 << QUALITY_BITS) - 1
_MIX = 0x9E3779B97F4A7C15 - 2**64  # the factor of `kept_tokens`, as a signed number


@dataclass(frozen=True, eq=False)
class KeptTokens:
    """The kept tokens of one shard, by unit, then best first.

    One number stands for unit and quality, so that one stable sort puts tokens into this order.
    """

    order: Int64[Tensor, " kept"]  # from `order_of`, ascending; of equal ones the earlier token first
    token: Int32[Tensor, " kept"]  # its place in the shard
    k: int

    @classmethod
    def empty(cls, k: int, device: torch.device) -> "KeptTokens":
        return cls(*(torch.empty(0, dtype=kind, device=device) for kind in (torch.int64, torch.int32)), k=k)

    @property
    def unit(self) -> Int64[Tensor, " kept"]:
        return self.order >> QUALITY_BITS

    @property
    def quality(self) -> Int64[Tensor, " kept"]:
        return QUALITY_MASK - (self.order & QUALITY_MASK)

    def reordered(self, order: Int64[Tensor, " kept"], tokens: ShardTokens) -> "KeptTokens":
        """The k best of these tokens under other units. order: theirs."""
        return best(order, self.token, tokens, self.k)

    def add(
        self, order: Int64[Tensor, " new"], token: Int32[Tensor, " new"], tokens: ShardTokens
    ) -> "KeptTokens":
        """With more tokens of the shard. Of equal order, they come in their order and after those that are here."""
        enters = self._may_enter(order).nonzero()[:, 0]
        order, token = (
            torch.cat([mine, new[enters]]) for mine, new in ((self.order, order), (self.token, token))
        )
        return best(order, token, tokens, self.k)

    def _may_enter(self, order: Int64[Tensor, " new"]) -> Bool[Tensor, " new"]:
        """Which tokens may be among the k best of their unit; those behind the last of its k need no sorting."""
        if not len(self.order):
            return torch.ones_like(order, dtype=torch.bool)
        stop = torch.searchsorted(self.order, order | QUALITY_MASK, right=True)
        first = self.order[(stop - self.k).clamp(min=0)]
        is_full = (stop >= self.k) & (first >> QUALITY_BITS == order >> QUALITY_BITS)
        return ~is_full | (order < self.order[(stop - 1).clamp(min=0)])


def order_of(unit: Int64[Tensor, " pair"], quality: Int64[Tensor, " pair"]) -> Int64[Tensor, " pair"]:
    """Unit (32 bits) and quality (31 bits) as one number: ascending by unit, then from the largest quality down."""
    return unit << QUALITY_BITS | (QUALITY_MASK - quality)


def best(
    order: Int64[Tensor, " pair"], token: Int32[Tensor, " pair"], tokens: ShardTokens, k: int
) -> KeptTokens:
    """The k best tokens of different texts of each unit. Tokens of equal order come in their order."""
    order, index = order.sort(stable=True)
    token = token[index]
    # Of each mask its places, once: a device stops the host for every use of a mask.
    first = _is_first_of_text(order >> QUALITY_BITS, tokens.text[token.long()]).nonzero()[:, 0]
    order, token = order[first], token[first]
    kept = (places_in_runs(order >> QUALITY_BITS) < k).nonzero()[:, 0]
    return KeptTokens(order[kept], token[kept], k)


def run_starts(ascending: Int64[Tensor, " value"]) -> Bool[Tensor, " value"]:
    """Whether each value differs from the one before it."""
    starts = torch.ones_like(ascending, dtype=torch.bool)
    torch.ne(ascending[1:], ascending[:-1], out=starts[1:])
    return starts


def places_in_runs(ascending: Int64[Tensor, " value"]) -> Int64[Tensor, " value"]:
    """The place of each value in its run of equal ones, from 0."""
    index = torch.arange(len(ascending), device=ascending.device)
    first = torch.where(run_starts(ascending), index, 0)
    return index - first.cummax(dim=0).values if len(index) else index


def _is_first_of_text(unit: Int64[Tensor, " pair"], text: Int64[Tensor, " pair"]) -> Bool[Tensor, " pair"]:
    """Whether no token before has the same unit and text."""
    both, index = (text ^ (unit * _MIX)).sort(stable=True)
    is_first = torch.empty_like(both, dtype=torch.bool)
    is_first[index] = run_starts(both)
    return is_first
