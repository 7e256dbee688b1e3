"""Decoder weight share against FVE, per head: does it matter by which a head's features are ranked? numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.attribution.fve import spearman, top_overlap
from app.domain.records import FeatureRecord, FveByHead
from app.domain.refs import FeatureRef, HeadRef
from app.experiments.errors import InvalidExperiment

NAME = "weight-vs-fve"
Definition = Literal["covariance_share", "residual", "r_squared"]
TokenSet = Literal["active", "all"]
DEFINITIONS: tuple[Definition, ...] = ("covariance_share", "residual", "r_squared")
TOKEN_SETS: tuple[TokenSet, ...] = ("active", "all")


@dataclass(frozen=True)
class RankingParameters:
    """The ranking matters for a head whose rank correlation or top-k overlap falls below its threshold."""

    k: int = 10
    min_correlation: float = 0.5
    min_overlap: int = 6


@dataclass(frozen=True)
class ScatterPoint:
    """One feature, as one head sees it. fve is None where the feature has none under the definition."""

    feature: FeatureRef
    share: float
    fve: float | None


@dataclass(frozen=True)
class RankingAgreement:
    """Share against one definition of FVE, over one head's features."""

    head: HeadRef
    definition: Definition
    tokens: TokenSet
    points: tuple[ScatterPoint, ...]
    correlation: float | None  # Spearman; None below three features with an FVE
    overlap: int  # features in both top-k lists
    n_listed: int  # places in the shorter list
    ranking_matters: bool


@dataclass(frozen=True)
class WeightVsFveResult:
    """All heads of a layer under all definitions."""

    layer: int
    n_features: int
    parameters: RankingParameters
    agreements: tuple[RankingAgreement, ...]


def weight_vs_fve(
    features: Sequence[FeatureRecord],
    heads: Sequence[HeadRef],
    parameters: RankingParameters | None = None,
) -> WeightVsFveResult:
    """Compare the rankings over the given features of one layer. Raises InvalidExperiment."""
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
    return WeightVsFveResult(layers.pop(), len(features), p, agreements)


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
    few = n_listed == p.k and overlap < p.min_overlap
    points = tuple(
        ScatterPoint(ref, float(s), None if np.isnan(f) else float(f))
        for ref, s, f in zip(refs, share, fve, strict=True)
    )
    low = correlation is not None and correlation < p.min_correlation
    return RankingAgreement(head, *kind, points, correlation, overlap, n_listed, ranking_matters=low or few)


def _top(values: NDArray[np.float64], refs: list[FeatureRef], k: int) -> NDArray[np.int64]:
    """The k best features that have a value: largest first, then the lower feature; -1 in empty places."""
    index = np.array([ref.index for ref in refs])
    order = np.lexsort((index, -values))
    best = index[order[~np.isnan(values[order])][:k]]
    return np.pad(best, (0, k - len(best)), constant_values=-1)
