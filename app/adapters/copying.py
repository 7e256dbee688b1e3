"""Copying scores of all heads of a model, from its weights."""

import numpy as np
from numpy.typing import NDArray

from app.adapters.language_model import LanguageModel
from app.attribution.head_scores import copying_score, vocabulary_map


def copying_scores(model: LanguageModel) -> NDArray[np.float64]:
    """OV copying score of every head [layers heads]: 1 copies what it reads, -1 writes its negative.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (copying).
    """
    out = model.unembed_weights()
    vocabulary = vocabulary_map(model.embedding(), out.w_u, out.final_norm_weight, out.centre_residual)
    rows: list[NDArray[np.float64]] = []
    for layer in range(model.record.n_layers):
        weights = model.head_weights(layer)
        w_v = weights.w_v * weights.input_norm_weight[:, None]
        rows.append(copying_score(w_v, weights.w_o, vocabulary).numpy(force=True))
    return np.stack(rows)
