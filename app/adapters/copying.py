"""Copying scores of all heads of a model, from its weights."""

import numpy as np
from numpy.typing import NDArray

from app.adapters.language_model import LanguageModel
from app.attribution.head_scores import copying_score, vocabulary_map


def copying_scores(model: LanguageModel) -> NDArray[np.float64]:
    """OV copying score of every head [layers heads]: 1 copies what it reads, -1 writes its negative.

    NaN in a layer whose path is not known.
    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (copying).
    """
    layers = range(model.record.n_layers)
    scores = np.full((len(layers), model.record.n_heads), np.nan)
    measured = [i for i in layers if not (model.logits_withheld(i) or model.values_withheld(i))]
    if not measured:
        return scores
    out = model.unembed_weights()
    final = (out.final_norm_weight, out.centre_residual)
    vocabulary = vocabulary_map(model.embedding(), out.w_u, *final, centre_read=False)
    for layer in measured:
        weights = model.head_weights(layer)
        score = copying_score(weights.w_read, weights.w_write, vocabulary)
        scores[layer] = score.numpy(force=True)
    return scores
