"""Compute one unit of work (`run_unit`): a shard or a score batch in, one sealed file out.

A shard of the corpus (`features_of_shard`), for every layer with an SAE:

1. Its sequences go through the model in batches that never span two shards, once per weight processing.
2. Each layer's z is encoded by its SAE as soon as it is there, beside the forward pass where many layers have one
   (`layer_workers`); only pairs of a counted token and an active feature are kept.
3. Each pair's pre-activation is split by head (DFA, `attribution/dfa`), and the batch is added to the layer's
   statistics (`accumulators/layer_statistics`): counts, moments, histograms, top examples, a sample of each
   activation interval. They become a mergeable partial when the shard is done.
4. The batch's activations are written to disk while there is room: payloads of examples are made of them after the
   merge.
5. The patterns of every layer with heads, SAE or not, are added to statistics of what its heads attend to
   (`attention_reader`), and on sequences that count for head scores to those scores, in the same forward pass.
6. All partials are sealed in one file, which is either complete or absent (`partial_files`).

A score batch (`random_scores`) runs repeated random tokens, and reads previous-token, duplicate-token and
induction attention from every head's pattern.

Sources: Kissane et al. 2024, arXiv 2406.17759 (attention SAEs, DFA); Olsson et al. 2022, "In-context Learning
and Induction Heads" (repeated random tokens).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from app.accumulators.batches import ShardTokens
from app.accumulators.layer_statistics import LayerStatistics, statistics_device
from app.adapters.language_model import LayerActivations, ReadPattern
from app.attribution.head_scores import (
    SequenceScores,
    corpus_scores,
    random_repeated_tokens,
    repeated_sequence_scores,
)
from app.domain.records import Json
from app.precompute.attention_reader import AttentionReader, attention_name
from app.precompute.kept_activations import keeping, n_kept
from app.precompute.layer_batch import LayerBatch
from app.precompute.layer_workers import LayerWorkers
from app.precompute.loaded_run import LoadedRun
from app.precompute.partial_files import SealedHeader, write_sealed
from app.precompute.plan import Unit
from app.precompute.side_by_side import side_by_side, torch_threads
from app.precompute.smaller_batches import with_smaller_batches
from app.statistics.alike_texts import text_keys
from app.statistics.arrays import Ints
from app.statistics.feature_partial import FeaturePartial, FeatureShape
from app.statistics.head_partial import HeadScoreBatch, HeadScorePartial, ScoreSums
from app.statistics.leaves import Shards
from app.statistics.partial import Partial

SCORES = "scores"
BATCH_SIZE = "batch_size"  # among a sealed file's facts where memory ran out: of its smallest forward pass
Scores = dict[str, SequenceScores]


def layer_name(layer: int) -> str:
    """The name of a layer's partial in a sealed file."""
    return f"L{layer}"


def run_unit(run: LoadedRun, unit: Unit) -> Path:
    """Compute a unit and seal it. Raises AppError for wrong data; nothing is left half-written."""
    path = run.folder.sealed_path(unit)
    make = features_of_shard if unit.kind == "features" else random_scores
    partials = with_smaller_batches(run.batch, lambda: make(run, unit.index))
    facts: dict[str, Json] = (
        {} if run.batch.sequences == run.plan.batch_size else {BATCH_SIZE: run.batch.sequences}
    )
    write_sealed(path, SealedHeader(run.plan.fingerprint, (unit.index,), facts), partials)
    return path


def features_of_shard(run: LoadedRun, shard: int) -> dict[str, Partial]:
    """Every layer's statistics over one shard, without payloads, which wait for the merge.

    Attention of every layer with heads is included, so the forward pass continues to the last of them.
    """
    plan = run.plan
    first = shard * plan.shard_size
    last = min(first + plan.shard_size, run.corpus.n_sequences)
    tokens = shard_tokens(run, first, text_keys(np.asarray(run.corpus.tokens[first:last])))
    layers = {
        layer: LayerStatistics(empty_partial(run, layer, Shards.of(shard)), tokens) for layer in run.saes
    }
    scores, attention = _empty_scores(run, shard), AttentionReader(run, shard, tokens)
    by_batch: list[dict[int, Scores]] = []
    with keeping(run) as keep, LayerWorkers(run.threads) as workers:

        def add(batch: LayerBatch) -> None:
            layers[batch.sae.layer].add(batch.pair_batch(tokens))
            if batch.first_sequence < n_kept(run):
                keep(batch)

        for start, stop in batches(run.batch.sequences, first, last):
            readers = [attention.of_batch(start, stop)]
            if start < plan.n_score_sequences:
                by_batch.append({})
                readers.append(_text_reader(run, start, min(stop, plan.n_score_sequences), by_batch[-1]))
            read_batches(run, (start, stop), add, workers, _all_of(readers))
    for by_layer in by_batch:
        scores = scores.update(_score_batch(by_layer, run.record.n_layers))
    return {
        SCORES: scores,
        **_partials(run, layers),
        **{attention_name(layer): partial for layer, partial in attention.partials().items()},
    }


def _partials(run: LoadedRun, layers: dict[int, LayerStatistics]) -> dict[str, FeaturePartial]:
    """The partial of each layer. Layers are popped, so that what one accumulated is free once its partial is made."""
    names, plan = [layer_name(layer) for layer in layers], run.plan
    made = side_by_side(lambda layer: layers.pop(layer).partial(), list(layers), plan.device, plan.threads)
    return dict(zip(names, made, strict=True))


def shard_tokens(run: LoadedRun, first: int, texts: Ints) -> ShardTokens:
    """The tokens of a shard that begins with sequence `first`, where its statistics are accumulated.

    texts: [sequence pos] the key of each position's text.
    """
    device = statistics_device(run.plan.device)
    return ShardTokens.of(first * run.corpus.context_size, texts.reshape(-1), run.plan.seed, device)


def _all_of(readers: Sequence[ReadPattern]) -> ReadPattern:
    def read(layer: int, pattern: Tensor) -> None:
        for each in readers:
            each(layer, pattern)

    return read


def batches(size: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each forward pass of `size` sequences over the sequences first:last.

    No pass spans two shards, because the other rows of a batch change the last bits of a row.
    """
    for start in range(first, last, size):
        yield start, min(start + size, last)


def corpus_batches(run: LoadedRun) -> Iterator[tuple[int, int]]:
    """(start, stop) of each forward pass of the run over the corpus."""
    for first in range(0, run.corpus.n_sequences, run.plan.shard_size):
        yield from batches(
            run.batch.sequences, first, min(first + run.plan.shard_size, run.corpus.n_sequences)
        )


def empty_partial(run: LoadedRun, layer: int, shards: Shards) -> FeaturePartial:
    """The empty partial of one layer of the plan, the identity of merging."""
    coder, plan = run.saes[layer].coder, run.plan
    shape = FeatureShape(coder.d_sae, coder.n_heads, coder.d_in)
    return FeaturePartial.empty(
        plan.fingerprint, shape, plan.seed, shards, plan.n_top_pool, plan.n_interval_pool
    )


def read_batches(
    run: LoadedRun,
    sequences: tuple[int, int],
    work: Callable[[LayerBatch], None],
    workers: LayerWorkers,
    read_pattern: ReadPattern | None = None,
) -> None:
    """Have the workers work on each layer's batch of some sequences, from first to stop, as the forward pass makes it.

    There is one forward pass per weight processing. `read_pattern` gets the attention pattern of every layer of the
    model, once, from the layer's worker.
    """
    tokens, counted = _tokens(run, *sequences)

    def read(layer: int, activations: LayerActivations) -> None:
        workers.add(layer, lambda: work(LayerBatch.of(run.saes[layer], activations, counted, sequences[0])))

    handed_over = None if read_pattern is None else _handed_over(read_pattern, workers)
    with torch_threads(run.threads.forward):
        for processing, layers in run.layers_by_processing.items():
            run.model(processing).read_layers(tokens, layers, read, handed_over)
            handed_over = None  # patterns do not depend on the processing
        if handed_over is not None:  # no layer has an SAE
            run.any_model.read_patterns(tokens, handed_over)


def _handed_over(read: ReadPattern, workers: LayerWorkers) -> ReadPattern:
    def hand_over(layer: int, pattern: Tensor) -> None:
        workers.add(layer, lambda: read(layer, pattern))

    return hand_over


def layer_batches(
    run: LoadedRun, start: int, stop: int, only: Sequence[int] | None = None
) -> Iterator[LayerBatch]:
    """The batches that `read_batches` makes, of some layers or all, equal to the last bit, in the caller's thread."""
    return token_batches(run, *_tokens(run, start, stop), start, only)


def _tokens(
    run: LoadedRun, start: int, stop: int
) -> tuple[Int64[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """The tokens of sequences start:stop, and which of them count."""
    tokens = torch.from_numpy(run.corpus.tokens[start:stop].astype(np.int64))
    return tokens, torch.from_numpy(run.corpus.counted(start, stop))


def token_batches(
    run: LoadedRun,
    tokens: Int64[Tensor, "batch pos"],
    counted: Bool[Tensor, "batch pos"],
    start: int,
    only: Sequence[int] | None = None,
) -> Iterator[LayerBatch]:
    """The batches of some layers, or all, of arbitrary sequences, numbered from `start`."""
    for processing, all_layers in run.layers_by_processing.items():
        layers = [layer for layer in all_layers if only is None or layer in only]
        if not layers:
            continue
        with torch_threads(run.threads.forward):
            activations = run.model(processing).activations(tokens, layers)
        for layer in layers:
            with torch_threads(run.threads.layer):
                batch = LayerBatch.of(run.saes[layer], activations.pop(layer), counted, start)
            yield batch


def random_scores(run: LoadedRun, index: int) -> dict[str, Partial]:
    """Attention scores of every head of every layer over one batch of repeated random tokens."""
    plan, model = run.plan, run.any_model
    record = model.record
    repeated = random_repeated_tokens(
        plan.n_score_sequences,
        plan.score_length,
        record.d_vocab,
        model.tokenizer.special_token_ids,
        record.bos_token_id,
        plan.seed,
    )[index * plan.batch_size : (index + 1) * plan.batch_size]
    scores = _empty_scores(run, index)
    for part in repeated.split(run.batch.sequences):
        by_layer: dict[int, Scores] = {}
        model.read_patterns(part, _repeated_reader(by_layer, plan.score_length))
        scores = scores.update(_score_batch(by_layer, record.n_layers))
    return {SCORES: scores}


def _repeated_reader(by_layer: dict[int, Scores], score_length: int) -> ReadPattern:
    def read(layer: int, pattern: Tensor) -> None:
        by_layer[layer] = repeated_sequence_scores(pattern, score_length)

    return read


def _text_reader(run: LoadedRun, start: int, stop: int, by_layer: dict[int, Scores]) -> ReadPattern:
    """A function that keeps each layer's scores on sequences start:stop, which must be the first of their batch."""
    counted = torch.from_numpy(run.corpus.counted(start, stop))

    def read(layer: int, pattern: Tensor) -> None:
        by_layer[layer] = corpus_scores(pattern[: stop - start], counted.to(pattern.device))

    return read


def _empty_scores(run: LoadedRun, index: int) -> HeadScorePartial:
    record = run.record
    return HeadScorePartial.empty(run.plan.fingerprint, record.n_layers, record.n_heads, Shards.of(index))


def _score_batch(by_layer: dict[int, Scores], n_layers: int) -> HeadScoreBatch:
    """[sequence n_heads] of each layer, stacked to [sequence n_layers n_heads]; 0 in a layer without heads."""
    first = next(iter(by_layer.values()))
    return HeadScoreBatch(
        **{
            name: ScoreSums(
                total=torch.stack(
                    [
                        by_layer[layer][name].total if layer in by_layer else torch.zeros_like(score.total)
                        for layer in range(n_layers)
                    ],
                    dim=1,
                ).numpy(force=True),
                n=score.n.numpy(force=True),
            )
            for name, score in first.items()
        }
    )
