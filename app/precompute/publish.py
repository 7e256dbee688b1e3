"""Publish a finished pass: merge layer by layer, make the records, store them, and make the run live."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

import numpy as np

from app.adapters.corpora import Corpus
from app.domain.evidence import normalised_ids
from app.domain.records import EXAMPLES, PUBLISH, FeatureRecord, RunRecord, RunReport, SaeRecord
from app.precompute.attach_payloads import (
    Keys,
    MissingPayloads,
    make_missing_payloads,
    missing_payloads,
)
from app.precompute.attention_reader import attention_name, empty_attention
from app.precompute.attention_records import head_attention
from app.precompute.distinct_examples import DistinctExamples, TextCounts
from app.precompute.finalize import ChosenFeatures, Finalizer, LayerResult, head_records, parts_of, sae_record
from app.precompute.loaded_run import LoadedRun
from app.precompute.merge import SealedRun
from app.precompute.plan import Unit
from app.precompute.process_memory import give_back_free_memory
from app.precompute.progress import JobMonitor, Stage
from app.precompute.ranking import LayerRankings, rank_layer
from app.precompute.shard import BATCH_SIZE, SCORES, empty_partial, layer_name
from app.precompute.side_by_side import in_turn, side_by_side
from app.precompute.write_behind import WriteBehind
from app.statistics.feature_partial import FeaturePartial
from app.statistics.head_partial import HeadScorePartial
from app.statistics.leaves import Shards
from app.store.atlas import writes
from app.store.atlas.attention import add_attention
from app.store.atlas.feature_blobs import FeatureBlocks, feature_blocks
from app.store.database.engine import Engine, write_session

_SEQUENCES_PER_TRANSACTION = 2048
_MOST_THREADS = 8  # that make records, each with its own logits in memory


_Made: TypeAlias = tuple[Sequence[FeatureRecord], FeatureBlocks]


@dataclass(frozen=True)
class Outcome:
    """Figures for the final report."""

    n_features: int
    worst_residual: float
    n_run_again: int  # examples whose activations were not kept
    saes: tuple[SaeRecord, ...]
    batch_size: int  # of the smallest forward pass


class Publisher:
    """Publishes one run. Readers see the old run until go_live, and never a part of the new one."""

    def __init__(self, run: LoadedRun, slug: str, units: list[Unit]) -> None:
        self._run, self._slug, self._units = run, slug, units
        self._sealed = SealedRun(run.folder, units)
        self._vocabulary = run.any_model.tokenizer.vocabulary(run.record.d_vocab)
        self._examples = DistinctExamples(run.corpus, self._vocabulary, run.plan.n_top, run.plan.n_interval)

    def write(self, engine: Engine, monitor: JobMonitor) -> tuple[int, Outcome]:
        """Write all rows of the run without making it live.

        Returns the run's id in the store, and figures for the report.
        """
        give_back_free_memory()  # of the pass
        layers = sorted(self._run.saes)
        run_id = self._begin(engine)
        chosen, payloads = self._choose(
            layers, monitor.stage(EXAMPLES, self._run.corpus.n_sequences, "sequences")
        )
        give_back_free_memory()  # of payloads
        stage = monitor.stage(PUBLISH, len(layers), "layers")
        saes: list[SaeRecord] = []
        worst = 0.0
        n_threads = min(self._run.plan.threads, _MOST_THREADS)
        pieces = self._pieces(chosen, payloads, saes, n_threads)
        with closing(in_turn(pieces, self._run.plan.device, n_threads)) as made, WriteBehind() as writer:
            for layer in layers:
                for records, blocks in islice(made, len(parts_of(chosen[layer]))):
                    writer.add(partial(self._store, engine, run_id, records, blocks))
                    worst = max(worst, *(record.worst_residual for record in records))
                writer.wait()
                stage.advance(1)
        stage.finish()
        self._finish(engine, run_id, {layer: each.rankings for layer, each in chosen.items()}, saes)
        n_features = sum(len(each.groups) for each in chosen.values())
        return run_id, Outcome(n_features, worst, payloads.n_run_again, tuple(saes), self._batch_size())

    def _pieces(
        self,
        chosen: Mapping[int, ChosenFeatures],
        payloads: MissingPayloads,
        saes: list[SaeRecord],
        n_threads: int,
    ) -> Iterator[Callable[[], _Made]]:
        """The work that makes each part of each layer's features; layers' SAEs are added to `saes` meanwhile."""
        finalizer = Finalizer(self._run, normalised_ids(self._vocabulary))
        for layer in sorted(chosen):
            effects = finalizer.decoder_effects(self._run.saes[layer], chosen[layer], n_threads)
            folded = self._folded(layer).with_payloads(payloads.payloads.take(layer))
            result = LayerResult(self._run.saes[layer], folded, chosen[layer], effects)
            saes.append(sae_record(self._run, result))
            for part in parts_of(chosen[layer]):
                yield partial(_made, finalizer, result, part)

    def _store(
        self, engine: Engine, run_id: int, records: Sequence[FeatureRecord], blocks: FeatureBlocks
    ) -> None:
        with write_session(engine) as session:
            writes.add_features(session, run_id, records, self._vocabulary, blocks)

    def _choose(
        self, layers: Sequence[int], stage: Stage
    ) -> tuple[dict[int, ChosenFeatures], MissingPayloads]:
        """The features of every layer that have a page, with their examples, and the payloads of these.

        One pass makes the payloads of all layers, although each layer's partial is then folded twice: that is the
        cheaper.
        """
        at_once = self._run.threads.layers_at_once
        each = side_by_side(self._choose_of, layers, self._run.plan.device, at_once)
        found = dict(zip(layers, each, strict=True))
        chosen = {layer: of_layer for layer, (of_layer, _) in found.items()}
        missing = {layer: keys for layer, (_, keys) in found.items()}
        payloads = make_missing_payloads(self._run, missing, stage.advance)
        stage.finish()
        return chosen, payloads

    def _choose_of(self, layer: int) -> tuple[ChosenFeatures, Keys]:
        """The features of a layer that have a page, and the examples of theirs without a payload."""
        partial = self._folded(layer)
        chosen = self._chosen(partial, self._ranked(partial, layer))
        return chosen, missing_payloads(partial, chosen.groups)

    def go_live(self, engine: Engine, run_id: int, report: RunReport) -> None:
        """Make this the run that its atlas shows, in one transaction."""
        with write_session(engine) as session:
            writes.go_live(session, run_id, report)

    def _batch_size(self) -> int:
        cut = [size for size in self._sealed.facts(BATCH_SIZE) if isinstance(size, int)]
        return min([self._run.batch.sequences, *cut])

    def _folded(self, layer: int) -> FeaturePartial:
        empty = empty_partial(self._run, layer, Shards.of())
        return self._sealed.fold("features", layer_name(layer), empty)

    def _ranked(self, partial: FeaturePartial, layer: int) -> LayerRankings:
        plan = self._run.plan
        return rank_layer(self._run.saes[layer], partial, plan.k, plan.min_active)

    def _chosen(self, partial: FeaturePartial, rankings: LayerRankings) -> ChosenFeatures:
        every = self._run.plan.features == "all"
        features = range(len(rankings.live)) if every else rankings.selected.tolist()
        picked = self._examples.groups(partial.activation_groups(feature) for feature in features)
        groups = dict(zip(features, picked, strict=True))
        counts = TextCounts.of(self._run.corpus, [group for each in groups.values() for group in each])
        return ChosenFeatures(rankings, groups, counts)

    def _begin(self, engine: Engine) -> int:
        run = self._run
        record = RunRecord(
            fingerprint=run.plan.fingerprint,
            model=run.record,
            corpus=run.corpus.name,
            context_size=run.corpus.context_size,
            n_sequences=run.corpus.n_sequences,
            n_tokens=_count_tokens(run.corpus),
            plan={**run.plan.as_json(), "checks": run.checks},
        )
        with write_session(engine) as session:
            run_id = writes.begin_run(session, self._slug, record)
            writes.add_vocabulary(session, run_id, self._vocabulary.checksum, self._vocabulary.to_blob())
        documents = run.corpus.documents()
        for start in range(0, run.corpus.n_sequences, _SEQUENCES_PER_TRANSACTION):
            part = np.asarray(run.corpus.tokens[start : start + _SEQUENCES_PER_TRANSACTION])
            with write_session(engine) as session:
                writes.add_sequences(session, run_id, part, start, list(islice(documents, len(part))))
        return run_id

    def _finish(
        self, engine: Engine, run_id: int, rankings: dict[int, LayerRankings], saes: list[SaeRecord]
    ) -> None:
        run, record = self._run, self._run.record
        empty = HeadScorePartial.empty(run.plan.fingerprint, record.n_layers, record.n_heads, Shards.of())
        scores = {
            name: score
            for kind in ("features", "scores")  # of text, and of repeated random tokens
            for name, score in self._sealed.fold(kind, SCORES, empty).scores().items()
        }
        with write_session(engine) as session:
            writes.add_saes(session, run_id, saes)
            writes.add_heads(session, run_id, head_records(run, scores, rankings))
            for layer in sorted(rankings):
                writes.add_rankings(session, run_id, rankings[layer].head_rankings())
        empty_attention_partial = empty_attention(run, Shards.of())
        for layer in run.any_model.attention_layers:
            attention = self._sealed.fold("features", attention_name(layer), empty_attention_partial)
            with write_session(engine) as session:
                add_attention(session, run_id, head_attention(attention, layer, self._examples, run.corpus))


def _made(finalizer: Finalizer, result: LayerResult, part: slice) -> _Made:
    records = finalizer.records(result, part)
    return records, feature_blocks(records)


def _count_tokens(corpus: Corpus) -> int:
    """The number of counted tokens, read in pieces."""
    starts = range(0, corpus.n_sequences, _SEQUENCES_PER_TRANSACTION)
    return sum(int(corpus.counted(start, start + _SEQUENCES_PER_TRANSACTION).sum()) for start in starts)
