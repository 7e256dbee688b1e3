"""Turn merged statistics into the records that the store keeps.

For each chosen feature of a layer, once all shards are merged:

1. The layer's partial gives density, mean and largest activation and the histogram; its rankings give decoder
   weight share and FVE by head.
2. Its decoder row through W_O and W_U gives promoted and suppressed tokens, of the whole feature and of each
   head's slice (logit lens, nostalgebraist 2020; for attention SAEs Kissane et al. 2024, arXiv 2406.17759).
3. Its examples, by activation group, get their payloads (activations, DFA by head and source) and the lengths
   of the prefix that each source repeats, exactly and with normalised tokens; these are counted into
   evidence.
4. The features with the most similar decoder rows are stored with it.

Each head gets its scores and the agreement of its two rankings, each SAE its fit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.copying import copying_scores
from app.adapters.language_model import Processing
from app.attribution.decoder_weights import most_similar
from app.attribution.logits import TopLogits
from app.domain.evidence import PrefixLengths, count_evidence, prefix_lengths
from app.domain.records import (
    N_SOURCES,
    Evidence,
    Examples,
    FeatureRecord,
    FveByHead,
    HeadRecord,
    Histogram,
    SaeRecord,
    SimilarFeatures,
    SummedSources,
    TokenLogits,
)
from app.domain.refs import FeatureRef, HeadRef
from app.precompute.distinct_examples import DistinctGroup, TextCounts, example_groups
from app.precompute.feature_logits import FeatureLogits, feature_logits
from app.precompute.loaded_run import LayerSae, LoadedRun
from app.precompute.ranking import LayerRankings
from app.statistics.arrays import Floats, Ints
from app.statistics.feature_partial import FeaturePartial

N_SIMILAR = 8
_FEATURES_AT_ONCE = 4096  # whose directions and logits are in memory together


@dataclass(frozen=True, eq=False)
class ChosenFeatures:
    """The features of a layer that have a page, with the groups of their examples, and how often their texts occur."""

    rankings: LayerRankings
    groups: Mapping[int, Sequence[DistinctGroup]]  # by feature, ascending
    text_counts: TextCounts


@dataclass(frozen=True, eq=False)
class LayerResult:
    """One layer's merged statistics, with a payload for every stored example."""

    sae: LayerSae
    partial: FeaturePartial
    chosen: ChosenFeatures

    @cached_property
    def density(self) -> Floats:
        """The share of counted tokens on which each feature is active: [d_sae]."""
        return self.partial.density()


class Finalizer:
    """Makes the records of one run. fuzzy_ids: [d_vocab], from `domain.evidence.normalised_ids`."""

    def __init__(self, run: LoadedRun, fuzzy_ids: NDArray[np.int64]) -> None:
        self._run = run
        self._tokens = np.asarray(run.corpus.tokens)
        self._fuzzy_tokens = fuzzy_ids[self._tokens]
        self._bos = run.corpus.bos_token_id

    def features(self, result: LayerResult) -> Iterator[FeatureRecord]:
        """The records of the layer's chosen features, in their order."""
        chosen = result.chosen
        features = np.array(list(chosen.groups), np.int64)
        model = self._run.model(_processing_of(self._run, result.sae.layer))
        similar = similar_features(result.sae, features)
        for start in range(0, len(features), _FEATURES_AT_ONCE):
            part = features[start : start + _FEATURES_AT_ONCE]
            logits = feature_logits(result.sae, part, model, chosen.rankings.shown_heads[part])
            for place, feature in enumerate(part.tolist()):
                record = self._feature(result, feature, logits, place)
                yield replace(record, similar=similar[start + place])

    def _feature(
        self, result: LayerResult, feature: int, logits: "FeatureLogits", place: int
    ) -> FeatureRecord:
        partial, rankings = result.partial, result.chosen.rankings
        n_active = int(partial.n_active.total[feature])
        whole = logits.whole
        promoted = _token_logits(whole.promoted, place)
        stored = result.chosen.groups[feature]
        examples = self._examples(result, feature)
        return FeatureRecord(
            ref=FeatureRef(result.sae.layer, feature),
            n_active=n_active,
            density=float(result.density[feature]),
            mean_activation=float(partial.activation_sum.total[feature]) / max(n_active, 1),
            max_activation=float(partial.max_activation[feature]),
            decoder_weight_norm=rankings.norm[feature].astype(np.float32),
            decoder_weight_share=rankings.share[feature].astype(np.float32),
            fve_active=_fve_of(rankings.fve_active, feature),
            fve_all=_fve_of(rankings.fve_all, feature),
            promoted=promoted,
            suppressed=_token_logits(whole.suppressed, place),
            head_promoted=_token_logits(logits.head_top, place),
            head_suppressed=_token_logits(logits.head_bottom, place),
            top_logit=None if logits.first_by_head is None else logits.first_by_head[place].numpy(force=True),
            logit_histogram=Histogram(
                whole.edges[place].numpy(force=True), whole.counts[place].numpy(force=True)
            ),
            activation_histogram=partial.histogram.histogram(feature),
            evidence=self._evidence(examples, stored, promoted),
            groups=example_groups(stored, n_active),
            worst_residual=float(examples.residual.max()) if len(examples) else 0.0,
            examples=examples,
        )

    def _examples(self, result: LayerResult, feature: int) -> Examples:
        partial, chosen = result.partial, result.chosen
        groups = chosen.groups[feature]
        tokens = np.concatenate([np.zeros(0, np.int64), *(group.token_index for group in groups)])
        if not len(tokens):
            return _no_examples(len(partial.active.mean_c[0]), self._run.corpus.context_size)
        rows = partial.payloads.rows(feature, tokens)
        sequence, position = np.divmod(tokens, self._run.corpus.context_size)
        at = (sequence[:, None], position[:, None])
        exact, fuzzy = self._prefixes(*at, rows["source"][:, :, 0])
        source, dfa, rest = (rows.pop(f"summed_{name}") for name in ("source", "dfa", "rest"))
        summed = (part[:, 0] for part in self._prefixes(*at, source[:, :1]))
        return Examples(
            sequence=sequence.astype(np.int32),
            position=position.astype(np.int32),
            prefix_length=exact,
            prefix_length_fuzzy=fuzzy,
            summed=SummedSources(source, dfa, rest, *summed),
            n_alike=np.concatenate([chosen.text_counts.alike(group) for group in groups]),
            **rows,  # pyright: ignore[reportArgumentType]
        )

    def _prefixes(
        self, sequence: Ints, position: Ints, source: NDArray[np.integer]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Lengths of the exact and the fuzzy prefix: [n k] for sources [n k] of tokens [n 1]."""
        where = (sequence, position, source.astype(np.int64), self._bos)
        return prefix_lengths(self._tokens, *where), prefix_lengths(self._fuzzy_tokens, *where)

    def _evidence(
        self, examples: Examples, groups: Sequence[DistinctGroup], promoted: TokenLogits
    ) -> Evidence:
        n = len(groups[0].token_index) if groups else 0
        counts = count_evidence(
            self._tokens[examples.sequence[:n]],
            examples.position[:n],
            examples.source[:n, :, 0],
            PrefixLengths(examples.prefix_length[:n], examples.prefix_length_fuzzy[:n]),
            promoted.token_id[promoted.logit > 0].tolist(),
            self._bos,
        )
        return Evidence(n, counts)


def similar_features(sae: LayerSae, features: NDArray[np.int64]) -> list[SimilarFeatures]:
    """For each of the features, those among them with the most similar decoder rows, by cosine."""
    chosen = torch.from_numpy(features).to(sae.coder.w_dec.device)
    places, cosines = most_similar(sae.coder.w_dec[chosen].flatten(1), N_SIMILAR)
    return [
        SimilarFeatures(features[place], cosine.astype(np.float32))
        for place, cosine in zip(places.numpy(force=True), cosines.numpy(force=True), strict=True)
    ]


def _no_examples(n_heads: int, context_size: int) -> Examples:
    """The empty examples of a dead feature."""
    by_head = np.zeros((0, n_heads), np.float32)
    numbers, none = np.zeros(0, np.float32), np.zeros(0, np.int16)
    return Examples(
        sequence=np.zeros(0, np.int32),
        position=np.zeros(0, np.int32),
        activation=numbers,
        pre_activation=numbers,
        bias=numbers,
        residual=numbers,
        head_contribution=by_head,
        source=np.zeros((0, n_heads, N_SOURCES), np.int16),
        dfa=np.zeros((0, n_heads, N_SOURCES), np.float32),
        dfa_rest=by_head,
        prefix_length=np.zeros((0, n_heads), np.int16),
        prefix_length_fuzzy=np.zeros((0, n_heads), np.int16),
        sequence_activations=np.zeros((0, context_size), np.float16),
        summed=SummedSources(
            np.zeros((0, N_SOURCES), np.int16), np.zeros((0, N_SOURCES), np.float32), numbers, none, none
        ),
        n_alike=np.zeros(0, np.int64),
    )


def head_records(
    run: LoadedRun, scores: dict[str, NDArray[np.float64]], rankings: dict[int, LayerRankings]
) -> list[HeadRecord]:
    """The records of all heads of the model, with or without an SAE; none of a layer without attention."""
    model, record = run.any_model, run.record
    tables = {**scores, "copying": copying_scores(model)}
    return [
        _head_record(HeadRef(layer, head), tables, rankings.get(layer))
        for layer in model.attention_layers
        for head in range(record.n_heads)
    ]


def _head_record(
    ref: HeadRef, tables: dict[str, NDArray[np.float64]], rankings: LayerRankings | None
) -> HeadRecord:
    known = {name: float(table[ref.layer, ref.head]) for name, table in sorted(tables.items())}
    scores = {name: score for name, score in known.items() if not np.isnan(score)}
    if rankings is None:
        return HeadRecord(ref, scores)
    correlation, overlap = rankings.agreement(ref.head)
    return HeadRecord(
        ref,
        scores,
        concentration=rankings.concentration(ref.head),
        rank_correlation=correlation,
        top_overlap=overlap,
    )


def sae_record(run: LoadedRun, result: LayerResult) -> SaeRecord:
    """The record of a layer's SAE: its origin, and how well it fits this corpus."""
    loaded, n_active = result.sae.loaded, result.partial.n_active.total
    return SaeRecord(
        layer=loaded.layer,
        name=loaded.name,
        checksum=loaded.checksum,
        architecture=loaded.architecture,
        d_in=loaded.coder.d_in,
        d_sae=loaded.coder.d_sae,
        hook_name=loaded.hook_name,
        processing=_processing_of(run, loaded.layer),
        normalize_activations=loaded.normalize_activations,
        l0=result.partial.l0(),
        fvu=result.partial.fvu(),
        n_dead=int((n_active == 0).sum()),
        n_rare=int(((n_active > 0) & (n_active < run.plan.min_active)).sum()),
        neuronpedia_id=loaded.neuronpedia_id,
    )


def _processing_of(run: LoadedRun, layer: int) -> Processing:
    return next(sae.processing for sae in run.plan.saes if sae.layer == layer)


def _token_logits(tokens: TopLogits, place: int) -> TokenLogits:
    return TokenLogits(
        tokens.token_id[place].to(torch.int32).numpy(force=True),
        tokens.logit[place].float().numpy(force=True),
    )


def _fve_of(fve: FveByHead | None, feature: int) -> FveByHead | None:
    if fve is None or np.isnan(fve.covariance_share[feature]).all():
        return None
    return FveByHead(fve.covariance_share[feature], fve.residual[feature], fve.r_squared[feature])
