"""Attention accumulated by torch is that of the numpy path: to the last bit, but for the rounding of sums."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accumulators.attention_statistics import AttentionStatistics
from app.accumulators.batches import ShardTokens
from app.accumulators.shard_text import ShardText
from app.statistics.alike_texts import text_keys
from app.statistics.attention_partial import AttentionPartial, AttentionShape
from app.statistics.leaves import Shards
from tests.support import numpy_attention
from tests.support.numpy_attention import Text, assert_same_to_rounding
from tests.support.torch_operations import ORDERLESS, Operations

N_HEADS, LENGTH, SEED, N_TOP, N_SAMPLE = 3, 18, 7, 12, 3
FIRST = 5  # sequence of the shard, in the corpus
HOST = torch.device("cpu")


def empty(n_top: int = N_TOP) -> AttentionPartial:
    shape = AttentionShape(N_HEADS, LENGTH)
    return AttentionPartial.empty("plan", shape, SEED, Shards.of(0), n_top, N_SAMPLE)


class Shard:
    """Sequences of few different tokens, so that texts repeat; some are padded, one holds nothing that counts."""

    def __init__(self, n_sequences: int, seed: int = 0, n_tokens: int = 4) -> None:
        random = np.random.default_rng(seed)
        self.tokens = random.integers(3, 3 + n_tokens, (n_sequences, LENGTH))
        self.counted = np.arange(LENGTH) < random.integers(1, LENGTH + 1, (n_sequences, 1))
        self.counted[:, 0] = False
        self.counted[:, 7] &= random.random(n_sequences) < 0.5  # a separator
        logits = 2 * torch.randn(
            n_sequences, N_HEADS, LENGTH, LENGTH, generator=torch.Generator().manual_seed(seed)
        )
        logits[:, 1, :, 0] += 4  # rests on the first token
        logits[::2, 2, :, 3] += 5  # on the fourth, in every other sequence
        self.pattern = logits.masked_fill(torch.ones(LENGTH, LENGTH).triu(1).bool(), -torch.inf).softmax(-1)

    def accumulated(self, cuts: Sequence[int], n_top: int = N_TOP) -> AttentionPartial:
        """By the accumulators, in batches that end at the cuts."""
        statistics, text = self.begun(n_top)
        for start, stop in self.batches(cuts):
            statistics.add(self.pattern[start:stop], text.batch(start, stop, HOST))
        return statistics.partial()

    def begun(self, n_top: int = N_TOP) -> tuple[AttentionStatistics, ShardText]:
        tokens = ShardTokens.of(FIRST * LENGTH, text_keys(self.tokens).reshape(-1), SEED)
        text = ShardText.of(self.tokens, self.counted)
        return AttentionStatistics(empty(n_top), tokens, text), text

    def folded(self, cuts: Sequence[int], n_top: int = N_TOP) -> AttentionPartial:
        """By numpy."""
        partial = empty(n_top)
        for start, stop in self.batches(cuts):
            part = slice(start, stop)
            text = Text(FIRST + start, self.tokens[part], self.counted[part])
            partial = numpy_attention.folded(partial, self.pattern[part], text)
        return partial

    def batches(self, cuts: Sequence[int]) -> list[tuple[int, int]]:
        edges = sorted({0, len(self.tokens), *(cut for cut in cuts if cut < len(self.tokens))})
        return list(itertools.pairwise(edges))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(0, 2**31), st.lists(st.integers(1, 8)), st.sampled_from([1, 4, 40]))
def test_it_is_the_partial_of_numpy(n_sequences, seed, cuts, n_top):
    shard = Shard(n_sequences, seed)
    assert_same_to_rounding(shard.accumulated(cuts, n_top), shard.folded(cuts, n_top))


def test_what_is_kept_does_not_depend_on_batches():
    shard = Shard(24, n_tokens=50)
    whole = shard.accumulated([])
    assert len(whole.pictures) > 0
    assert len(whole.payloads) > len(whole.top.key)
    for cuts in ([1, 2, 3], [7, 14, 21], range(24)):
        assert_same_to_rounding(shard.accumulated(cuts), whole)


def test_the_same_batches_give_the_same_bits():
    shard = Shard(12)
    assert shard.accumulated([5]) == shard.accumulated([5])


def test_a_shard_without_destinations_is_empty():
    shard = Shard(2)
    shard.counted[:] = False
    assert shard.accumulated([1]) == empty()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value):
    shard = Shard(4)
    shard.counted[:, 1:] = True
    shard.pattern[2, 1, 9, 4] = value
    with pytest.raises(ValueError, match="finite"):
        shard.accumulated([2])


def test_no_operation_adds_in_an_order_of_its_own():
    with Operations() as operations:
        Shard(8).accumulated([4])
    used = {name.rstrip("_") for name in operations.names}
    assert {"segment_reduce", "sort"} <= used
    assert not used & ORDERLESS
