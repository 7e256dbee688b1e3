"""Processor time of the statistics of active pairs, per token and layer: numpy's per batch, and the accumulators'.

python benchmarks/folding.py [--batches N] [--device cpu]

Random activations of SmolLM2's and GPT-2 small's shapes, 32 active features per token, some features far more often
active than others. Their partials are compared: all but sums is the same to the last bit. On an idle machine, one
thread.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from app.accumulators.batches import PairBatch, ShardTokens
from app.accumulators.layer_statistics import LayerStatistics
from app.statistics.feature_partial import FeatureBatch, FeaturePartial, FeatureShape

SHAPES = {"SmolLM2": FeatureShape(4608, 9, 576), "GPT-2 small": FeatureShape(24576, 12, 768)}
N_TOKENS, L0, N_TOP, N_SAMPLE, N_DIFFERENT = 2048, 32, 40, 15, 3


def batches(shape: FeatureShape, n: int) -> Iterator[FeatureBatch]:
    """Batches of consecutive tokens; N_DIFFERENT are drawn, and repeated with other tokens."""
    random = np.random.default_rng(0)
    often = -0.7 * np.log(np.arange(1, shape.d_sae + 1))
    drawn = []
    for _ in range(N_DIFFERENT):
        chosen = np.argpartition(-often - random.gumbel(size=(N_TOKENS, shape.d_sae)), L0, axis=1)[:, :L0]
        token, n_pairs = np.repeat(np.arange(N_TOKENS), L0), N_TOKENS * L0
        contribution = random.normal(size=(n_pairs, shape.n_heads)).astype(np.float32)
        drawn.append(
            FeatureBatch(
                n_tokens=N_TOKENS,
                token_index=token,
                text=token,
                feature=chosen.ravel(),
                activation=random.lognormal(size=n_pairs).astype(np.float32),
                pre_activation=contribution.sum(axis=1),
                contribution=contribution,
                z=random.normal(size=(N_TOKENS, shape.d_in)).astype(np.float32),
                squared_error=1.0,
            )
        )
    for i in range(n):
        batch = drawn[i % N_DIFFERENT]
        token_index = batch.token_index + i * N_TOKENS
        yield replace(batch, token_index=token_index, text=token_index)


def on_device(batch: FeatureBatch, device: str) -> Callable[[], PairBatch]:
    """A function that orders the batch, as a job does, from tensors that are on the device."""

    def moved(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device)

    unordered, token, activation = moved(batch.feature), moved(batch.token_index), moved(batch.activation)
    pre_activation, contribution, z = map(moved, (batch.pre_activation, batch.contribution, batch.z))
    squared_error = torch.tensor(batch.squared_error, dtype=torch.float64, device=device)

    def make() -> PairBatch:
        feature, order = unordered.sort(stable=True)
        return PairBatch(
            feature=feature,
            token=token[order],
            activation=activation[order],
            pre_activation=pre_activation[order],
            contribution=contribution[order],
            z=z,
            squared_error=squared_error,
        )

    return make


def by_numpy(shape: FeatureShape, n: int) -> tuple[list[float], FeaturePartial]:
    partial = FeaturePartial.empty("plan", shape, 0, None, N_TOP, N_SAMPLE)
    seconds = []
    for batch in batches(shape, n):
        start = time.process_time()
        partial = partial.update(batch)
        seconds.append(time.process_time() - start)
    return seconds, partial


def by_accumulators(shape: FeatureShape, n: int, device: str) -> tuple[list[float], FeaturePartial]:
    """The last time is that of the partial."""
    empty = FeaturePartial.empty("plan", shape, 0, None, N_TOP, N_SAMPLE)
    statistics = LayerStatistics(empty, ShardTokens.of(0, np.arange(n * N_TOKENS), 0, device))
    seconds = []
    for batch in batches(shape, n):
        make = on_device(batch, device)
        start = time.process_time()
        statistics.add(make())
        seconds.append(time.process_time() - start)
    start = time.process_time()
    partial = statistics.partial()
    return [*seconds, time.process_time() - start], partial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        _, expected = _show(f"{name}, numpy per batch", by_numpy(shape, options.batches))
        _, partial = _show(f"{name}, accumulators", by_accumulators(shape, options.batches, options.device))
        print("   the same but for sums:", partial == expected.with_sums(partial.sums), flush=True)
    print(f"load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, numpy {np.__version__}")


def _show(what: str, measured: tuple[list[float], FeaturePartial]) -> tuple[list[float], FeaturePartial]:
    seconds = measured[0]
    n_batches = int(measured[1].n_tokens.total) // N_TOKENS
    first = 1e6 * seconds[0] / N_TOKENS
    mean = 1e6 * sum(seconds) / (n_batches * N_TOKENS)
    print(f"{what}: {mean:.0f} microseconds per token and layer; the first batch {first:.0f}", flush=True)
    return measured


if __name__ == "__main__":
    main()
