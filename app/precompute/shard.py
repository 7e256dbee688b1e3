"""Compute one unit of work (`run_unit`): a shard or a score batch in, one sealed file out.

A shard of the corpus (`features_of_shard`), for every layer with an SAE:

1. Its sequences go through the model in batches that never span two shards, once per weight processing.
2. Each layer's z is encoded by its SAE; only pairs of a counted token and an active feature are kept.
3. Each pair's pre-activation is split by head (DFA, `attribution/dfa`), and the batch is added to the layer's
   statistics (`accumulators/layer_statistics`): counts, moments, histograms, top examples, a sample of each
   activation interval. They become a mergeable partial when the shard is done.
4. The batch's activations are written to disk while there is room; with `--features all`, the examples that
   lead at this point get their payloads at once instead.
5. The patterns of every layer with heads, SAE or not, are folded into statistics of what its heads attend to
   (`attention_reader`), and on sequences that count for head scores into those scores, in the same forward pass.
6. All partials are sealed in one file, which is either complete or absent (`partial_files`).

A score batch (`random_scores`) runs repeated random tokens, and reads previous-token, duplicate-token and
induction attention from every head's pattern.

Sources: Kissane et al. 2024, arXiv 2406.17759 (attention SAEs, DFA); Olsson et al. 2022, "In-context Learning
and Induction Heads" (repeated random tokens).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from app.accumulators.batches import ShardTokens
from app.accumulators.layer_statistics import LayerStatistics, statistics_device
from app.adapters.language_model import ReadPattern
from app.attribution.head_scores import (
    SequenceScores,
    corpus_scores,
    random_repeated_tokens,
    repeated_sequence_scores,
)
from app.domain.records import Json
from app.precompute.attention_reader import AttentionReader, attention_name
from app.precompute.kept_activations import keep, n_kept
from app.precompute.layer_batch import LayerBatch
from app.precompute.loaded_run import LoadedRun
from app.precompute.partial_files import SealedHeader, write_sealed
from app.precompute.plan import Unit
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
    shard_texts = text_keys(np.asarray(run.corpus.tokens[first:last]))
    tokens = shard_tokens(run, first, shard_texts)
    layers = {
        layer: LayerStatistics(empty_partial(run, layer, Shards.of(shard)), tokens) for layer in run.saes
    }
    scores, attention = _empty_scores(run, shard), AttentionReader(run, shard)
    for start, stop in batches(run.batch.sequences, first, last):
        by_layer: dict[int, Scores] = {}
        readers = [attention.of_batch(start, stop, shard_texts[start - first : stop - first])]
        if start < plan.n_score_sequences:
            readers.append(_text_reader(run, start, min(stop, plan.n_score_sequences), by_layer))
        for batch in layer_batches(run, start, stop, read=_all_of(readers)):
            layers[batch.sae.layer].add(batch.pair_batch(tokens))
            if start < n_kept(run):
                keep(run, batch)
        if by_layer:
            scores = scores.update(_score_batch(by_layer, run.record.n_layers))
    return {
        SCORES: scores,
        # Popped, so that what a layer accumulated is free once its partial is made.
        **{layer_name(layer): layers.pop(layer).partial() for layer in list(layers)},
        **{attention_name(layer): partial for layer, partial in attention.partials.items()},
    }


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


def layer_batches(
    run: LoadedRun,
    start: int,
    stop: int,
    only: Sequence[int] | None = None,
    read: ReadPattern | None = None,
) -> Iterator[LayerBatch]:
    """The batch of each layer of the plan, or of those in `only`, on sequences start:stop.

    There is one forward pass per weight processing. `read` gets the attention pattern of every layer of the
    model, once.
    """
    tokens = torch.from_numpy(run.corpus.tokens[start:stop].astype(np.int64))
    counted = torch.from_numpy(run.corpus.counted(start, stop))
    return token_batches(run, tokens, counted, start, only, read)


def token_batches(
    run: LoadedRun,
    tokens: Int64[Tensor, "batch pos"],
    counted: Bool[Tensor, "batch pos"],
    start: int,
    only: Sequence[int] | None = None,
    read: ReadPattern | None = None,
) -> Iterator[LayerBatch]:
    """Layer batches for arbitrary sequences, numbered from `start`."""
    for processing, all_layers in run.layers_by_processing.items():
        layers = [layer for layer in all_layers if only is None or layer in only]
        if not layers:
            continue
        model = run.model(processing)
        if read is None:
            activations = model.activations(tokens, layers)
        else:
            activations = model.read_patterns(tokens, read, layers)
            read = None  # patterns do not depend on the processing
        for layer in layers:
            yield LayerBatch.of(run.saes[layer], activations.pop(layer), counted, start)
    if read is not None:  # no layer has an SAE
        run.any_model.read_patterns(tokens, read)


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
