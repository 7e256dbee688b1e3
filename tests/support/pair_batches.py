"""The batches of `partial_batches` as the accumulators read them, and what both ways make of them."""

from functools import reduce

import numpy as np
import torch

from app.accumulators.batches import PairBatch, ShardTokens
from app.accumulators.layer_statistics import LayerStatistics
from app.statistics.feature_partial import FeatureBatch, FeaturePartial
from app.statistics.feature_sums import FeatureSums
from tests.support.partial_batches import SEED, empty_partial, text_of

FIRST = 3  # of the shard's tokens: some of them are in no batch


def tokens_of(drawn: list[FeatureBatch], seed: int = SEED) -> ShardTokens:
    """A shard that holds the tokens of all batches."""
    stop = max((int(batch.token_index.max()) + 1 for batch in drawn if len(batch.feature)), default=FIRST)
    return ShardTokens.of(FIRST, text_of(np.arange(FIRST, stop)), seed)


def pair_batch(batch: FeatureBatch, tokens: ShardTokens) -> PairBatch:
    """The same batch as tensors, its pairs by feature and then token."""
    order = np.lexsort((batch.token_index, batch.feature))
    columns = {name: torch.from_numpy(getattr(batch, name)[order]) for name in COLUMNS}
    return PairBatch(
        feature=columns["feature"].long(),
        token=columns["token_index"] - tokens.first,
        activation=columns["activation"],
        pre_activation=columns["pre_activation"],
        contribution=columns["contribution"],
        z=torch.from_numpy(batch.z),
        squared_error=torch.tensor(batch.squared_error, dtype=torch.float64),
    )


COLUMNS = ("feature", "token_index", "activation", "pre_activation", "contribution")


def accumulated(drawn: list[FeatureBatch], empty: FeaturePartial | None = None) -> FeaturePartial:
    """What the accumulators make of the batches."""
    tokens = tokens_of(drawn)
    statistics = LayerStatistics(empty or empty_partial(0), tokens)
    for batch in drawn:
        statistics.add(pair_batch(batch, tokens))
    return statistics.partial()


def folded(drawn: list[FeatureBatch], empty: FeaturePartial | None = None) -> FeaturePartial:
    """What numpy makes of them."""
    return reduce(FeaturePartial.update, drawn, empty or empty_partial(0))


def assert_same_to_rounding(
    partial: FeaturePartial, expected: FeaturePartial, rounding: float = 1e-12
) -> None:
    """What is counted and kept is the same; sums agree."""
    assert_sums_agree(partial.sums, expected.sums, rounding)
    assert partial == expected.with_sums(partial.sums)


def assert_sums_agree(sums: FeatureSums, expected: FeatureSums, rounding: float = 1e-12) -> None:
    """Counts are equal; each sum differs by at most `rounding` of the largest number of its kind."""
    for name in ("n_tokens", "activation_sum", "squared_error", "z", "active"):
        mine, theirs = getattr(sums, name).to_arrays(), getattr(expected, name).to_arrays()
        assert mine.keys() == theirs.keys()
        for part, array in mine.items():
            assert (array.dtype, array.shape) == (theirs[part].dtype, theirs[part].shape)
            if array.dtype == np.int64:
                assert (array == theirs[part]).all()
            else:
                scale = float(np.abs(theirs[part]).max(initial=0))
                difference = float(np.abs(array - theirs[part]).max(initial=0))
                assert difference <= rounding * scale, f"{name}.{part}: {difference} of {scale}"
