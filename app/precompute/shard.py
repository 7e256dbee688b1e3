"""run_unit: the only unit of work. One shard or score batch in, one sealed file out."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from app.adapters.language_model import LanguageModel
from app.attribution.head_scores import (
    ScoreSums,
    corpus_scores,
    random_repeated_tokens,
    repeated_sequence_scores,
)
from app.precompute.bench import Bench
from app.precompute.layer_batch import LayerBatch
from app.precompute.partial_files import SealedHeader, write_sealed
from app.precompute.plan import RunPlan, Unit
from app.statistics import head_partial
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from app.statistics.head_partial import HeadScoreBatch, HeadScorePartial
from app.statistics.leaves import Shards
from app.statistics.partial import Partial

SCORES = "scores"
Scores = dict[str, ScoreSums]


def layer_name(layer: int) -> str:
    """The name of a layer's partial in a sealed file."""
    return f"L{layer}"


def run_unit(bench: Bench, unit: Unit) -> Path:
    """Compute a unit and seal it. Raises AppError for wrong data; nothing is left half-written."""
    path = bench.folder.sealed_path(unit)
    partials: dict[str, Partial] = (
        dict(feature_partials(bench, unit.index))
        if unit.kind == "features"
        else {SCORES: score_partial(bench, unit.index)}
    )
    write_sealed(path, SealedHeader(plan=bench.plan.fingerprint, shards=(unit.index,)), partials)
    return path


def feature_partials(bench: Bench, shard: int) -> dict[str, FeaturePartial]:
    """Every layer's statistics over one shard, with payloads for the bench's candidate features."""
    plan = bench.plan
    first = shard * plan.shard_sequences
    last = min(first + plan.shard_sequences, bench.corpus.n_sequences)
    partials = {layer: empty_partial(bench, layer, Shards.of(shard)) for layer in bench.saes}
    for start, stop in batches(plan, first, last):
        for batch in layer_batches(bench, start, stop):
            partials[batch.sae.layer] = _fold(bench, partials[batch.sae.layer], batch)
    return {layer_name(layer): partial for layer, partial in partials.items()}


def batches(plan: RunPlan, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Sequences first:last in forward passes. No pass spans two shards: its other rows move a row's last bits."""
    for start in range(first, last, plan.batch_sequences):
        yield start, min(start + plan.batch_sequences, last)


def corpus_batches(plan: RunPlan, n_sequences: int) -> Iterator[tuple[int, int]]:
    """Every forward pass of the run over the corpus, as the shards made them."""
    for first in range(0, n_sequences, plan.shard_sequences):
        yield from batches(plan, first, min(first + plan.shard_sequences, n_sequences))


def empty_partial(bench: Bench, layer: int, shards: Shards) -> FeaturePartial:
    """The identity for one layer of the plan."""
    coder, plan = bench.saes[layer].coder, bench.plan
    shape = FeatureShape(coder.d_sae, coder.n_heads, coder.d_in)
    return FeaturePartial.empty(plan.fingerprint, shape, plan.seed, shards, plan.n_top, plan.n_interval)


def layer_batches(
    bench: Bench, start: int, stop: int, only: Sequence[int] | None = None
) -> Iterator[LayerBatch]:
    """Each layer of the plan (or `only` some) on sequences start:stop, from one forward per weight processing."""
    tokens = torch.from_numpy(bench.corpus.tokens[start:stop].astype(np.int64))
    counted = torch.from_numpy(bench.corpus.counted(start, stop))
    return token_batches(bench, tokens, counted, start, only)


def token_batches(
    bench: Bench,
    tokens: Int64[Tensor, "batch pos"],
    counted: Bool[Tensor, "batch pos"],
    start: int,
    only: Sequence[int] | None = None,
) -> Iterator[LayerBatch]:
    """The same of any sequences; the first of them counts as sequence `start`."""
    for processing, all_layers in bench.layers_by_processing.items():
        layers = [layer for layer in all_layers if only is None or layer in only]
        if not layers:
            continue
        activations = bench.model(processing).activations(tokens, layers)
        for layer in layers:
            yield LayerBatch.of(bench.saes[layer], activations.pop(layer), counted, start)


def _fold(bench: Bench, partial: FeaturePartial, batch: LayerBatch) -> FeaturePartial:
    partial = partial.update(batch.feature_batch())
    feature, token_index = partial.winners_without_payload(bench.candidates.get(batch.sae.layer))
    return partial.with_payloads(batch.payloads(feature, token_index))


def score_partial(bench: Bench, index: int) -> HeadScorePartial:
    """Attention scores of every head of every layer over one batch of score sequences."""
    plan, model = bench.plan, bench.any_model
    record = model.record
    partial = HeadScorePartial.empty(plan.fingerprint, record.n_layers, record.n_heads, Shards.of(index))
    part = slice(index * plan.batch_sequences, (index + 1) * plan.batch_sequences)
    repeated = random_repeated_tokens(
        plan.score_sequences,
        plan.score_length,
        record.d_vocab,
        model.tokenizer.special_token_ids,
        record.bos_token_id,
        plan.seed,
    )[part]
    by_layer = _by_layer(
        model, repeated, lambda pattern: repeated_sequence_scores(pattern, plan.score_length)
    )
    partial = partial.update(_score_batch(by_layer))
    stop = min(part.stop, plan.score_sequences, bench.corpus.n_sequences)
    if part.start >= stop:
        return partial
    text = torch.from_numpy(bench.corpus.tokens[part.start : stop].astype(np.int64))
    counted = torch.from_numpy(bench.corpus.counted(part.start, stop))
    by_layer = _by_layer(model, text, lambda pattern: corpus_scores(pattern, counted.to(pattern.device)))
    return partial.update(_score_batch(by_layer))


def _by_layer(model: LanguageModel, tokens: Tensor, score: Callable[[Tensor], Scores]) -> list[Scores]:
    """The score of every layer. All patterns of a batch are large, so they go with this call."""
    patterns = model.patterns(tokens)
    return [score(patterns.pop(layer)) for layer in range(model.record.n_layers)]


def _score_batch(by_layer: list[Scores]) -> HeadScoreBatch:
    """[sequence n_heads] of each layer, stacked to [sequence n_layers n_heads]."""
    return HeadScoreBatch(
        **{
            name: head_partial.ScoreSums(
                total=torch.stack([scores[name].total for scores in by_layer], dim=1).numpy(force=True),
                n=by_layer[0][name].count.numpy(force=True),
            )
            for name in by_layer[0]
        }
    )
