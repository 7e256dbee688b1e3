"""Scores of heads from their OV circuits, and their attention to the token that the model predicts."""

import numpy as np
import torch
from torch import Tensor

from app.adapters.copying import copying_scores
from app.adapters.interventions import ExperimentModel
from app.attribution.logits import logit_effect
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef
from app.experiments.natural_text import Text
from app.experiments.progress import PLAIN, Batching
from app.experiments.tasks import ORDINALS

Scores = dict[HeadRef, float]


def copying_by_head(model: ExperimentModel) -> Scores:
    """The copying score of each head, from the eigenvalues of its OV circuit."""
    return {
        HeadRef(*layer_and_head): float(score)
        for layer_and_head, score in np.ndenumerate(copying_scores(model))
    }


def predicted_token_attention(model: ExperimentModel, text: Text, batching: Batching = PLAIN) -> Scores:
    """Each head's mean attention to earlier copies of the predicted token, over tokens with such copies.

    Source: McDougall et al. 2023, arXiv 2310.04625 (copy suppression attends to the predicted token).
    """
    shape = (model.record.n_layers, model.record.n_heads)
    total, count = np.zeros(shape), 0
    for part in batching.slices(len(text.tokens), "attention to predicted tokens"):
        tokens = torch.from_numpy(text.tokens[part])
        predicted = model.logits(tokens).argmax(-1).cpu()
        counted = torch.from_numpy(text.counted[part])
        earlier = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        copies = (
            (tokens[:, None, :] == predicted[:, :, None]) & earlier & counted[:, None] & counted[:, :, None]
        )
        count += int(copies.any(dim=2).sum())
        for layer, pattern in model.patterns(tokens).items():
            total[layer] += (pattern.cpu().double() * copies[:, None]).sum(dim=(0, 2, 3)).numpy()
    mean = total / max(count, 1)
    return {HeadRef(layer, head): float(mean[layer, head]) for layer, head in np.ndindex(shape)}


def successor_scores(model: ExperimentModel) -> tuple[Scores, int]:
    """The share of steps for which each head's OV circuit boosts the next item most, and the number of steps.

    Items of ordinal sequences are read from the residual stream after the first block (for heads of the first
    block, from the embedding), each after BOS, in whichever form is a single token, with or without a leading space.
    Raises InvalidExperiment if no sequence has three one-token items in a row.
    Source: Gould et al. 2023, arXiv 2312.09230 (successor heads, effective embedding).
    """
    chains = [chain for words in ORDINALS.values() for chain in _one_token_chains(model, words)]
    if not chains:
        raise InvalidExperiment(
            f"no ordinal sequence has one-token items in the tokens of {model.record.name}"
        )
    first, later = (_item_streams(model, chains, layer) for layer in (0, min(1, model.record.n_layers - 1)))
    out = model.unembed_weights()
    scores: Scores = {}
    n_steps = sum(len(chain) - 1 for chain in chains)
    for layer in model.attention_layers:
        if (reason := model.values_withheld(layer)) is not None:
            raise InvalidExperiment(f"no successor score of {model.record.name}: {reason}")
        weights = model.head_weights(layer)
        hits = torch.zeros(model.record.n_heads)
        for chain, stream in zip(chains, first if layer == 0 else later, strict=True):
            written = torch.einsum("im,hmd,hdn->hin", stream[:-1], weights.w_read, weights.w_write)
            ids = torch.tensor(chain, device=out.w_u.device)
            for head, direction in enumerate(written):
                logits = logit_effect(direction, out.w_u[:, ids], out.final_norm_weight, out.centre_residual)
                hits[head] += (logits.argmax(dim=1).cpu() == torch.arange(1, len(chain))).sum()
        for head, hit in enumerate(hits.tolist()):
            scores[HeadRef(layer, head)] = hit / n_steps
    return scores, n_steps


def _one_token_chains(model: ExperimentModel, words: tuple[str, ...]) -> list[list[int]]:
    """The longest runs of at least three one-token items, all with or all without a leading space."""
    forms: list[list[list[int]]] = []
    for lead in (" ", ""):
        runs: list[list[int]] = [[]]
        for word in words:
            ids = _ids(model, lead + word)
            if len(ids) == 1:
                runs[-1].append(ids[0])
            else:
                runs.append([])
        forms.append([run for run in runs if len(run) >= 3])
    return max(forms, key=lambda form: sum(map(len, form)))


def _ids(model: ExperimentModel, text: str) -> list[int]:
    ids = model.tokenizer.encode(text)
    spelt = b"".join(model.tokenizer.token_bytes(token_id) for token_id in ids)
    return ids if spelt.strip() == text.strip().encode() else []


def _item_streams(model: ExperimentModel, chains: list[list[int]], layer: int) -> list[Tensor]:
    items = torch.tensor([token for chain in chains for token in chain])
    tokens = torch.stack([torch.full_like(items, model.record.bos_token_id), items], dim=1)
    stream = model.residual_before(tokens, layer)[:, 1]
    return list(stream.split([len(chain) for chain in chains]))
