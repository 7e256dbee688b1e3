"""Decoder weight share against FVE by head: does the ranking change a head's top features? numpy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.attribution.fve import spearman, top_overlap
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.rankings import (
    DEFINITIONS,
    TOKEN_SETS,
    Definition,
    HeadShares,
    RankingAgreement,
    RankingParameters,
    TokenSet,
    WeightVsFveResult,
    ranking_matters,
)
from app.domain.records import FeatureRecord, FveByHead
from app.domain.refs import FeatureRef, HeadRef


def weight_vs_fve(
    features: Sequence[FeatureRecord],
    heads: Sequence[HeadRef],
    parameters: RankingParameters | None = None,
) -> WeightVsFveResult:
    """The agreement of the two rankings of each head over these features of one layer.

    Raises InvalidExperiment.
    """
    p = parameters or RankingParameters()
    layers = {feature.ref.layer for feature in features} | {head.layer for head in heads}
    if not features or not heads or len(layers) != 1:
        raise InvalidExperiment("the rankings of one layer need features and heads of that layer")
    n_heads = len(features[0].decoder_weight_share)
    missing = [head for head in heads if not 0 <= head.head < n_heads]
    if missing:
        raise InvalidExperiment(f"there is no head {missing[0]} among the layer's {n_heads}")
    refs = [feature.ref for feature in features]
    share = np.array([feature.decoder_weight_share for feature in features], np.float64)
    agreements = tuple(
        _agreement(head, (definition, tokens), refs, share[:, head.head], fve[:, head.head], p)
        for tokens in TOKEN_SETS
        for definition in DEFINITIONS
        for fve in [_values(features, definition, tokens)]
        for head in heads
    )
    shares = tuple(HeadShares(head, tuple(share[:, head.head].tolist())) for head in heads)
    return WeightVsFveResult(layers.pop(), p, tuple(refs), shares, agreements)


def _values(
    features: Sequence[FeatureRecord], definition: Definition, tokens: TokenSet
) -> NDArray[np.float64]:
    def row(feature: FeatureRecord) -> NDArray[np.float64]:
        fve: FveByHead | None = feature.fve_active if tokens == "active" else feature.fve_all
        nothing = np.full(len(feature.decoder_weight_share), np.nan)
        return nothing if fve is None else np.asarray(getattr(fve, definition), np.float64)

    return np.array([row(feature) for feature in features])


def _agreement(
    head: HeadRef,
    kind: tuple[Definition, TokenSet],
    refs: list[FeatureRef],
    share: NDArray[np.float64],
    fve: NDArray[np.float64],
    p: RankingParameters,
) -> RankingAgreement:
    by_share, by_fve = _top(share, refs, p.k), _top(fve, refs, p.k)
    correlation, overlap = spearman(share, fve), top_overlap(by_share, by_fve)
    n_listed = int(min((by_share >= 0).sum(), (by_fve >= 0).sum()))
    values = tuple(None if np.isnan(value) else float(value) for value in fve)
    matters = ranking_matters(correlation, overlap, n_listed, p)
    return RankingAgreement(head, *kind, values, correlation, False, overlap, n_listed, matters)


def _top(values: NDArray[np.float64], refs: list[FeatureRef], k: int) -> NDArray[np.int64]:
    """The k features with the largest values, ties to the lower index; NaN left out, empty places -1."""
    index = np.array([ref.index for ref in refs])
    order = np.lexsort((index, -values))
    best = index[order[~np.isnan(values[order])][:k]]
    return np.pad(best, (0, k - len(best)), constant_values=-1)
