"""Payloads for kept tokens that the pass did not make: one more forward over just the batches that hold them."""

import numpy as np
from numpy.typing import NDArray

from app.precompute.bench import Bench
from app.precompute.shard import corpus_batches, layer_batches
from app.statistics.feature_partial import FeaturePartial
from app.statistics.payloads import Payloads, payload_key, split_key

Keys = NDArray[np.int64]


def missing_payloads(partial: FeaturePartial, features: NDArray[np.int64]) -> Keys:
    """Payload keys, ascending, of tokens in the features' activation groups that have no payload yet."""
    wanted = [
        payload_key(np.full(len(group.token_index), feature), group.token_index)
        for feature in features.tolist()
        for group in partial.activation_groups(feature)
    ]
    return np.setdiff1d(np.concatenate([np.zeros(0, np.int64), *wanted]), partial.payloads.key)


def hydrate(bench: Bench, missing: dict[int, Keys]) -> dict[int, Payloads]:
    """The missing payloads of every layer. The batches are the pass's, so the numbers are too, to the bit."""
    made = dict.fromkeys(missing, Payloads.empty())
    parts = {layer: split_key(keys) for layer, keys in missing.items()}
    for start, stop in corpus_batches(bench.plan, bench.corpus.n_sequences):
        first, last = start * bench.corpus.context_size, stop * bench.corpus.context_size
        here = {layer: (token >= first) & (token < last) for layer, (_, token) in parts.items()}
        layers = [layer for layer, inside in here.items() if inside.any()]
        for batch in layer_batches(bench, start, stop, only=layers):
            layer = batch.sae.layer
            feature, token_index = (part[here[layer]] for part in parts[layer])
            made[layer] = made[layer].merge(batch.payloads(feature, token_index))
    return made
