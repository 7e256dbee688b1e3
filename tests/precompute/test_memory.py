"""Memory does not grow with the corpus."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from app.precompute.merge import SealedRun
from app.precompute.partial_files import SealedHeader, write_sealed
from app.precompute.plan import Unit
from app.precompute.work_folder import WorkFolder
from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape
from app.statistics.leaves import Shards
from app.statistics.payloads import Payloads

PLAN, SHAPE, N_TOKENS, N_PAIRS = "a-plan", FeatureShape(d_sae=200, n_heads=4, d_in=64), 500, 5000


def sealed_shard(folder: WorkFolder, index: int) -> Unit:
    """One shard of random activations, each kept token with a payload of a kilobyte."""
    generator = np.random.default_rng(index)
    pair = generator.choice(N_TOKENS * SHAPE.d_sae, N_PAIRS, replace=False)
    token, feature = np.divmod(pair, SHAPE.d_sae)
    contribution = generator.normal(size=(N_PAIRS, SHAPE.n_heads)).astype(np.float32)
    batch = FeatureBatch(
        n_tokens=N_TOKENS,
        token_index=token + index * N_TOKENS,
        text=token + index * N_TOKENS,
        feature=feature,
        activation=generator.uniform(0.1, 9, N_PAIRS).astype(np.float32),
        pre_activation=contribution.sum(1),
        contribution=contribution,
        z=generator.normal(size=(N_TOKENS, SHAPE.d_in)).astype(np.float32),
        squared_error=1.0,
    )
    partial = FeaturePartial.empty(PLAN, SHAPE, 0, Shards.of(index)).update(batch)
    winner, winning_token = partial.winners_without_payload()
    row = np.zeros((len(winner), 256), np.float32)
    partial = partial.with_payloads(Payloads.of(winner, winning_token, {"dfa": row}))
    unit = Unit("features", index)
    write_sealed(folder.sealed_path(unit), SealedHeader(PLAN, (index,)), {"L0": partial})
    return unit


def peak_of_folding(folder: WorkFolder, units: list[Unit]) -> int:
    tracemalloc.start()
    merged = SealedRun(folder, units).fold("features", "L0", FeaturePartial.empty(PLAN, SHAPE, 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert int(merged.n_tokens.total) == N_TOKENS * len(units)
    return peak


@pytest.mark.slow
def test_folding_four_times_the_shards_takes_no_more_memory(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    folder.sealed.mkdir(parents=True)
    # The first twenty fill every feature's places; from there on the merged partial has its full size.
    units = [sealed_shard(folder, index) for index in range(80)]
    few, many = peak_of_folding(folder, units[:20]), peak_of_folding(folder, units)
    assert many < few * 1.15
