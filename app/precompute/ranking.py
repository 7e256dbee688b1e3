"""Rankings of features: FVE from a layer's partial, live features, and each head's two rankings."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.attribution.decoder_weights import (
    concentration,
    decoder_weight_norm,
    decoder_weight_share,
    feature_ranks,
    rank_features,
)
from app.attribution.float64 import widened
from app.attribution.fve import all_token_covariances, fve_from_covariance, spearman, top_overlap
from app.domain.records import FveByHead, HeadRanking, RankedFeature, Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.precompute.loaded_run import LayerSae
from app.statistics.feature_partial import FeaturePartial

_TOP = 10  # the post's list length, for the overlap of the two rankings


@dataclass(frozen=True, eq=False)
class LayerRankings:
    """Both rankings of one layer, and which features take part. norm, share: [d_sae n_heads]."""

    layer: int
    live: NDArray[np.bool_]  # active on at least min_active tokens
    norm: NDArray[np.float64]
    share: NDArray[np.float64]
    fve_active: FveByHead
    fve_all: FveByHead | None
    best: dict[Ranking, NDArray[np.int64]]  # [heads k], -1 in empty places
    rank: dict[Ranking, NDArray[np.int64]]  # [d_sae heads], from 1; 0 unranked

    @property
    def selected(self) -> NDArray[np.int64]:
        """Every feature in the top k of some head by either ranking, ascending."""
        chosen = np.unique(np.concatenate([best.ravel() for best in self.best.values()]))
        return chosen[chosen >= 0]

    @property
    def shown_heads(self) -> NDArray[np.bool_]:
        """The heads through which pages show each feature: those that list it, and its largest: [d_sae n_heads]."""
        shown = np.zeros(self.share.shape, dtype=np.bool_)
        # In the precision that is stored, which decides which of two equals is the largest.
        shown[np.arange(len(shown)), self.share.astype(np.float32).argmax(axis=1)] = True
        for best in self.best.values():
            head, place = np.nonzero(best >= 0)
            shown[best[head, place], head] = True
        return shown

    def value(self, ranking: Ranking) -> NDArray[np.float64]:
        """The values that a ranking sorts by: [d_sae n_heads]."""
        return self.share if ranking == "decoder_weight" else self.fve_active.covariance_share

    def head_rankings(self) -> list[HeadRanking]:
        """Both rankings of every head, as records."""
        other: dict[Ranking, Ranking] = {"decoder_weight": "fve", "fve": "decoder_weight"}
        return [
            HeadRanking(
                HeadRef(self.layer, head),
                ranking,
                tuple(
                    RankedFeature(
                        ref=FeatureRef(self.layer, int(feature)),
                        rank=place + 1,
                        value=float(self.value(ranking)[feature, head]),
                        other_rank=int(self.rank[other[ranking]][feature, head]),
                    )
                    for place, feature in enumerate(best[head])
                    if feature >= 0
                ),
            )
            for head in range(self.norm.shape[1])
            for ranking, best in self.best.items()
        ]

    def agreement(self, head: int) -> tuple[float | None, int]:
        """Spearman's correlation of a head's two rankings over live features, and their top tens' overlap."""
        share = np.where(self.live, self.share[:, head], np.nan)
        fve = np.where(self.live, self.fve_active.covariance_share[:, head], np.nan)
        tops = [best[head][:_TOP] for best in self.best.values()]
        return spearman(share, fve), top_overlap(*tops)

    def concentration(self, head: int) -> float | None:
        """The head's largest decoder weight share among live features; None if no feature is live."""
        value = float(concentration(torch.from_numpy(self.share), torch.from_numpy(self.live))[head])
        return None if np.isnan(value) else value


def rank_layer(sae: LayerSae, partial: FeaturePartial, k: int, min_active: int) -> LayerRankings:
    """Both rankings of every head, from a layer's merged statistics."""
    live = partial.n_active.total >= min_active
    norm = decoder_weight_norm(sae.coder.decoder_by_head).cpu()
    share = decoder_weight_share(norm)
    fve_active = fve_over_active(partial)
    values = {"decoder_weight": share, "fve": torch.from_numpy(fve_active.covariance_share)}
    eligible = torch.from_numpy(live)
    return LayerRankings(
        layer=sae.layer,
        live=live,
        norm=norm.numpy(force=True),
        share=share.numpy(force=True),
        fve_active=fve_active,
        fve_all=fve_over_all(sae, partial),
        best={name: rank_features(value, eligible, k).numpy(force=True) for name, value in values.items()},  # pyright: ignore[reportArgumentType]
        rank={name: feature_ranks(value, eligible).numpy(force=True) for name, value in values.items()},  # pyright: ignore[reportArgumentType]
    )


def fve_over_active(partial: FeaturePartial) -> FveByHead:
    """FVE by head over each feature's active tokens: [d_sae n_heads], NaN for a constant pre-activation."""
    active = partial.active
    n = np.maximum(active.n, 1).astype(np.float64)
    parts = fve_from_covariance(active.m2_p / n, active.m2_c / n[:, None], active.co_cp / n[:, None])
    return FveByHead(*parts)


def fve_over_all(sae: LayerSae, partial: FeaturePartial) -> FveByHead | None:
    """FVE by head over all counted tokens: [d_sae n_heads]; None if the SAE scales its input per token."""
    if sae.coder.input_norm.is_per_token:
        return None
    z = partial.z
    read = widened(sae.read_by_head).numpy(force=True)
    return FveByHead(*fve_from_covariance(*all_token_covariances(z.comoment / max(int(z.n), 1), read)))
