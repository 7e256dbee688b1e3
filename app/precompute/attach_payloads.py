"""Payloads of the tokens that a run shows, made once it is known which those are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.precompute.kept_activations import kept_batch
from app.precompute.layer_batch import LayerBatch
from app.precompute.loaded_run import LoadedRun
from app.precompute.shard import corpus_batches, layer_batches
from app.statistics.feature_partial import FeaturePartial
from app.statistics.payloads import Payloads, payload_key, split_key

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class MissingPayloads:
    """The payloads that the pass had not made, by layer, and how many of them took another forward."""

    payloads: dict[int, Payloads]
    n_run_again: int


def missing_payloads(partial: FeaturePartial, features: NDArray[np.int64]) -> Keys:
    """Payload keys, ascending, of tokens in the features' activation groups that have no payload yet."""
    wanted = [
        payload_key(np.full(len(group.token_index), feature), group.token_index)
        for feature in features.tolist()
        for group in partial.activation_groups(feature)
    ]
    return np.setdiff1d(np.concatenate([np.zeros(0, np.int64), *wanted]), partial.payloads.key)


def make_missing_payloads(run: LoadedRun, missing: dict[int, Keys]) -> MissingPayloads:
    """Make the missing payloads of every layer. The batches are the pass's, so the numbers are too, to the bit."""
    made: dict[int, list[Payloads]] = {layer: [] for layer in missing}
    n_run_again = 0
    parts = {layer: split_key(keys) for layer, keys in missing.items()}
    for start, stop in corpus_batches(run.plan, run.corpus.n_sequences):
        first, last = start * run.corpus.context_size, stop * run.corpus.context_size
        here = {layer: (token >= first) & (token < last) for layer, (_, token) in parts.items()}
        layers = [layer for layer, inside in here.items() if inside.any()]
        for batch, is_kept in _again(run, start, stop, layers):
            layer = batch.sae.layer
            feature, token_index = (part[here[layer]] for part in parts[layer])
            made[layer].append(batch.payloads(feature, token_index))
            n_run_again += 0 if is_kept else len(feature)
    return MissingPayloads({layer: Payloads.joined(each) for layer, each in made.items()}, n_run_again)


def _again(run: LoadedRun, start: int, stop: int, layers: Sequence[int]) -> Iterator[tuple[LayerBatch, bool]]:
    """The batch of each layer as the pass had it, and whether it was kept; one forward for those that were not."""
    lost: list[int] = []
    for layer in layers:
        batch = kept_batch(run, layer, start, stop)
        if batch is None:
            lost.append(layer)
        else:
            yield batch, True
    for batch in layer_batches(run, start, stop, only=lost):
        yield batch, False
