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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from torch import Tensor

from app.adapters.copying import copying_scores
from app.adapters.language_model import Processing, UnembedWeights
from app.attribution.decoder_weights import most_similar, unit_rows
from app.domain.evidence import NO_TOKEN
from app.domain.records import (
    Evidence,
    Examples,
    FeatureRecord,
    FveByHead,
    HeadRecord,
    SaeRecord,
    SimilarFeatures,
    TokenLogits,
)
from app.domain.refs import FeatureRef, HeadRef
from app.precompute.distinct_examples import DistinctGroup, TextCounts, example_groups
from app.precompute.feature_examples import ExampleMaker
from app.precompute.feature_logits import FeatureLogits, LayerLogits, LogitsOfFeature, no_logits
from app.precompute.loaded_run import LayerSae, LoadedRun
from app.precompute.ranking import LayerRankings
from app.precompute.side_by_side import side_by_side
from app.statistics.arrays import Floats, Ints
from app.statistics.feature_partial import FeaturePartial

N_SIMILAR = 8
_AT_ONCE = 128  # features whose logits, examples and records are made together


@dataclass(frozen=True, eq=False)
class ChosenFeatures:
    """The features of a layer that have a page, with the groups of their examples, and how often their texts occur."""

    rankings: LayerRankings
    groups: Mapping[int, Sequence[DistinctGroup]]  # by feature, ascending
    text_counts: TextCounts


@dataclass(frozen=True, eq=False)
class DecoderEffects:
    """What follows from the decoder rows of a layer's chosen features alone, and so from no partial."""

    features: Ints  # ascending
    n_heads: int
    unit_rows: Float64[Tensor, "feature d_in"]  # directions of their decoder rows
    layer_logits: LayerLogits | None  # None where the path to the logits is not known

    def logits(self, part: slice) -> FeatureLogits:
        """The logit effects of some of the features."""
        if self.layer_logits is None:
            return no_logits(len(self.features[part]), self.n_heads)
        return self.layer_logits.of(part)

    def similar(self, part: slice) -> list[SimilarFeatures]:
        """For each of some of the features, those among all of them with the most similar decoder rows, by cosine."""
        places, cosines = most_similar(self.unit_rows, N_SIMILAR, part)
        return [
            SimilarFeatures(self.features[place], cosine.astype(np.float32))
            for place, cosine in zip(places.numpy(force=True), cosines.numpy(force=True), strict=True)
        ]


@dataclass(frozen=True, eq=False)
class LayerResult:
    """One layer's merged statistics, with a payload for every stored example, and its decoder's effects."""

    sae: LayerSae
    partial: FeaturePartial
    chosen: ChosenFeatures
    effects: DecoderEffects

    @cached_property
    def density(self) -> Floats:
        """The share of counted tokens on which each feature is active: [d_sae]."""
        return self.partial.density()


class Finalizer:
    """Makes the records of one run. fuzzy_ids: [d_vocab], from `domain.evidence.normalised_ids`."""

    def __init__(self, run: LoadedRun, fuzzy_ids: NDArray[np.int64]) -> None:
        self._run = run
        self._examples = ExampleMaker(run.corpus, fuzzy_ids)
        self._unembed: dict[Processing, UnembedWeights] = {}

    def decoder_effects(self, sae: LayerSae, chosen: ChosenFeatures, n_threads: int) -> DecoderEffects:
        """The effects of a layer's chosen features. The bits are the same for any n_threads."""
        features = np.array(list(chosen.groups), np.int64)
        logits = self._logits(sae, features, chosen.rankings.shown_heads[features], n_threads)
        w_dec = sae.coder.w_dec[torch.from_numpy(features).to(sae.coder.w_dec.device)]
        return DecoderEffects(features, sae.coder.n_heads, unit_rows(w_dec.flatten(1)), logits)

    def _logits(
        self, sae: LayerSae, features: Ints, with_tokens: NDArray[np.bool_], n_threads: int
    ) -> LayerLogits | None:
        processing = _processing_of(self._run, sae.layer)
        model = self._run.model(processing)
        if model.logits_withheld(sae.layer) is not None:
            return None
        if processing not in self._unembed:
            self._unembed[processing] = model.unembed_weights()
        w_o, unembed = model.head_weights(sae.layer).w_write, self._unembed[processing]
        each = partial(side_by_side, device=self._run.plan.device, n_threads=n_threads)
        return LayerLogits.of_layer(sae, features, w_o, unembed, with_tokens, each)

    def records(self, result: LayerResult, part: slice) -> list[FeatureRecord]:
        """The records of some of a layer's features. Several threads may make those of several parts."""
        effects, n_heads = result.effects, result.sae.coder.n_heads
        logits, similar = effects.logits(part), effects.similar(part)
        groups = {feature: result.chosen.groups[feature] for feature in effects.features[part].tolist()}
        examples = self._examples.of(result.partial.payloads, groups, result.chosen.text_counts, n_heads)
        evidence = self._examples.evidence(examples, list(groups.values()), promoted_ids(logits.promoted))
        of_features = zip(groups, examples, evidence, similar, strict=True)
        return [
            self._feature(result, feature, logits.of(place), of_feature, shown, alike)
            for place, (feature, of_feature, shown, alike) in enumerate(of_features)
        ]

    def _feature(
        self,
        result: LayerResult,
        feature: int,
        logits: LogitsOfFeature,
        examples: Examples,
        evidence: Evidence,
        similar: SimilarFeatures,
    ) -> FeatureRecord:
        partial, rankings = result.partial, result.chosen.rankings
        n_active = int(partial.n_active.total[feature])
        stored = result.chosen.groups[feature]
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
            **vars(logits),
            activation_histogram=partial.histogram.histogram(feature),
            evidence=evidence,
            groups=example_groups(stored, n_active),
            worst_residual=float(examples.residual.max()) if len(examples) else 0.0,
            examples=examples,
            similar=similar,
        )


def parts_of(chosen: ChosenFeatures) -> list[slice]:
    """A layer's features that have a page, in the parts whose records are made together."""
    return [slice(first, first + _AT_ONCE) for first in range(0, len(chosen.groups), _AT_ONCE)]


def promoted_ids(promoted: TokenLogits) -> NDArray[np.int64]:
    """The tokens that features boost, [feature k]; NO_TOKEN where one does not boost so many."""
    return np.where(promoted.logit > 0, promoted.token_id, NO_TOKEN).astype(np.int64)


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
    by_name = {name: float(table[ref.layer, ref.head]) for name, table in sorted(tables.items())}
    scores = {name: score for name, score in by_name.items() if not np.isnan(score)}
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


def _fve_of(fve: FveByHead | None, feature: int) -> FveByHead | None:
    if fve is None or np.isnan(fve.covariance_share[feature]).all():
        return None
    return FveByHead(fve.covariance_share[feature], fve.residual[feature], fve.r_squared[feature])
