"""Logit effects of features and of their slices, where the path from the layer's heads to the logits is known."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.adapters.language_model import LanguageModel
from app.attribution.logits import (
    LogitSummary,
    TopLogits,
    feature_directions,
    head_slice_tops,
    summarise_logits,
    token_logit_by_head,
)
from app.precompute.loaded_run import LayerSae

N_LOGITS = 20
N_SLICE_LOGITS = 10


@dataclass(frozen=True, eq=False)
class FeatureLogits:
    """Logit effects of some features of a layer, whole and by head."""

    whole: LogitSummary
    head_top: TopLogits
    head_bottom: TopLogits
    first_by_head: torch.Tensor | None  # [feature n_heads]; None where nothing is said of logits


def feature_logits(
    sae: LayerSae, features: NDArray[np.int64], model: LanguageModel, wanted: NDArray[np.bool_]
) -> FeatureLogits:
    """Logit effects of these features; empty if the layer's path to the logits is not known.

    wanted: [feature n_heads], the heads whose slices have their own tokens stored.
    """
    if model.logits_withheld(sae.layer) is not None:
        return _no_logits(len(features), sae.coder.n_heads)
    w_o, unembed = model.head_weights(sae.layer).w_write, model.unembed_weights()
    write = sae.coder.write_by_head[torch.from_numpy(features).to(sae.coder.w_dec.device)]
    read_out = (unembed.w_u, unembed.final_norm_weight, unembed.centre_residual)
    direction = feature_directions(write, w_o)
    whole = summarise_logits(direction.sum(1), *read_out, k=N_LOGITS)
    top, bottom = head_slice_tops(
        write, w_o, *read_out, k=N_SLICE_LOGITS, wanted=torch.from_numpy(wanted).to(write.device)
    )
    first = token_logit_by_head(direction, whole.promoted.token_id[:, 0], *read_out)
    return FeatureLogits(whole, top, bottom, first)


def _no_logits(n_features: int, n_heads: int) -> FeatureLogits:
    """The logit effects of a layer whose path to the logits is not known: no tokens, and a histogram of none."""
    whole, by_head = (
        TopLogits(torch.zeros(shape, dtype=torch.int64), torch.zeros(shape))
        for shape in ((n_features, 0), (n_features, n_heads, 0))
    )
    edges, counts = (
        torch.zeros(n_features, 2, dtype=torch.float64),
        torch.zeros(n_features, 1, dtype=torch.int64),
    )
    return FeatureLogits(LogitSummary(whole, whole, edges, counts), by_head, by_head, None)
