"""Payloads of the examples that a run stores, made after the merge has shown which examples these are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.adapters.devices import is_out_of_memory
from app.precompute.distinct_examples import DistinctGroup
from app.precompute.kept_activations import kept_batch
from app.precompute.loaded_run import LoadedRun
from app.precompute.payload_parts import PayloadParts
from app.precompute.shard import batches, corpus_batches, layer_batches
from app.precompute.side_by_side import side_by_side
from app.statistics.feature_partial import FeaturePartial
from app.statistics.payloads import Payloads, payload_key, split_key

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class MissingPayloads:
    """Payloads made after the merge.

    n_run_again: how many of them needed a second forward pass, because their activations were not kept.
    """

    payloads: PayloadParts
    n_run_again: int


def missing_payloads(partial: FeaturePartial, groups: Mapping[int, Sequence[DistinctGroup]]) -> Keys:
    """Keys of the examples that are shown of each feature and have no payload yet, ascending."""
    keys = [
        payload_key(np.full(len(group.token_index), feature), group.token_index)
        for feature, of_feature in groups.items()
        for group in of_feature
    ]
    return np.setdiff1d(np.concatenate([np.zeros(0, np.int64), *keys]), partial.payloads.key)


def make_missing_payloads(
    run: LoadedRun, missing: dict[int, Keys], advance: Callable[[int], None]
) -> MissingPayloads:
    """Make the missing payloads of every layer. `advance` gets the number of sequences done since its last call.

    The batches are those of the first pass, so the numbers are equal to the last bit.
    """
    payloads = PayloadParts(run.folder.activations)
    n_run_again = 0
    parts = {layer: split_key(keys) for layer, keys in missing.items()}
    waiting = list(corpus_batches(run))[::-1]
    while waiting:
        start, stop = waiting.pop()
        payloads_by_layer = _batch_payloads(run, start, stop, parts)
        if payloads_by_layer is None:  # out of memory
            if stop - start <= run.batch.sequences:  # else it was cut before the batch size was
                run.batch.halve()
            waiting += list(batches(run.batch.sequences, start, stop))[::-1]
            continue
        for layer, part, is_kept in payloads_by_layer:
            payloads.add(layer, part)
            n_run_again += 0 if is_kept else len(part)
        advance(stop - start)
    return MissingPayloads(payloads, n_run_again)


def _batch_payloads(
    run: LoadedRun, start: int, stop: int, parts: Mapping[int, tuple[Keys, Keys]]
) -> list[tuple[int, Payloads, bool]] | None:
    """For each layer: the layer, its payloads, and whether its activations were kept; None if memory ran out."""
    first, last = start * run.corpus.context_size, stop * run.corpus.context_size
    here = {layer: (token >= first) & (token < last) for layer, (_, token) in parts.items()}
    layers = [layer for layer, inside in here.items() if inside.any()]
    try:
        return _payloads_of(run, start, stop, {layer: _of(parts[layer], here[layer]) for layer in layers})
    except RuntimeError as error:
        if is_out_of_memory(error):
            return None
        raise


def _of(part: tuple[Keys, Keys], chosen: NDArray[np.bool_]) -> tuple[Keys, Keys]:
    feature, token = part
    return feature[chosen], token[chosen]


def _payloads_of(
    run: LoadedRun, start: int, stop: int, examples: Mapping[int, tuple[Keys, Keys]]
) -> list[tuple[int, Payloads, bool]]:
    """Payloads of each layer's examples from kept activations, several layers at once.

    Layers whose activations were not kept share one further forward pass.
    """
    n_threads, at_once = run.threads.whole, max(min(run.threads.layers_at_once, len(examples)), 1)

    def of_kept(layer: int) -> Payloads | None:
        batch = kept_batch(run, layer, start, stop, np.unique(examples[layer][0]))
        return None if batch is None else batch.payloads(*examples[layer], n_threads // at_once)

    made = dict(zip(examples, side_by_side(of_kept, examples, run.plan.device, at_once), strict=True))
    lost = [layer for layer, part in made.items() if part is None]
    again = (
        (batch.sae.layer, batch.payloads(*examples[batch.sae.layer], n_threads))
        for batch in layer_batches(run, start, stop, only=lost)
    )
    return [
        *((layer, part, True) for layer, part in made.items() if part is not None),
        *((layer, part, False) for layer, part in again),
    ]
