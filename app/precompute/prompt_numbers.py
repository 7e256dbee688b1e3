"""A run's model and SAEs on a typed text: the same computation as in the run, on one sequence."""

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from app.attribution.dfa import residual
from app.domain.prompts import MAX_CHARACTERS, ActiveFeature, FeatureReading, PromptAnswer, PromptQuestion
from app.errors import AppError
from app.precompute.layer_batch import LayerBatch
from app.precompute.loaded_run import LoadedRun
from app.precompute.shard import token_batches
from app.statistics.feature_partial import FeatureBatch

N_ACTIVE = 16  # features to choose from


class UnfitText(AppError):
    """The text cannot be run through the model."""


def answer(run: LoadedRun, question: PromptQuestion) -> PromptAnswer:
    """The model's answer about a text.

    Raises UnfitText for one that is empty or longer than the run's context.
    """
    tokens = read_tokens(run, question.text)
    if question.dest is not None and not 0 < question.dest < tokens.shape[1]:
        raise UnfitText(f"the text has no token {question.dest}; tokens count from 1, after BOS")
    if question.layer not in run.saes:
        return _pattern_only(run, question, tokens)
    counted = torch.ones(tokens.shape, dtype=torch.bool)
    counted[:, 0] = False
    [batch] = token_batches(run, tokens, counted, 0, only=[question.layer])
    return answer_for(batch, tokens[0].tolist(), question)


def read_tokens(run: LoadedRun, text: str) -> Int64[Tensor, "1 pos"]:
    """BOS and the tokens of the text.

    Raises UnfitText for one that is too long, since cutting it would mislead, and for tokens that the model lacks.
    """
    if not text.strip():
        raise UnfitText("there is no text to read")
    if len(text) > MAX_CHARACTERS:
        raise UnfitText(f"the text has more than {MAX_CHARACTERS} characters")
    model = run.any_model
    ids = model.tokenizer.encode(text)
    room = run.plan.context_size - 1
    if len(ids) > room:
        raise UnfitText(f"the text has {len(ids)} tokens, and this run's context holds {room} after BOS")
    if max(ids, default=0) >= model.record.d_vocab:
        raise UnfitText(
            f"the text has token {max(ids)}, and the model has tokens 0 to {model.record.d_vocab - 1}"
        )
    return torch.tensor([[model.record.bos_token_id, *ids]])


def answer_for(batch: LayerBatch, tokens: list[int], question: PromptQuestion) -> PromptAnswer:
    """The answer for a layer with an SAE, from a batch of one sequence."""
    pairs = batch.feature_batch()
    head = _strongest_head(pairs, question) if question.head is None else question.head
    active = _active(pairs, head)
    index = active[0].index if question.feature is None and active else question.feature
    if index is None:
        dest = question.dest or len(tokens) - 1
        return PromptAnswer(tokens, head, dest, _pattern(batch.pattern, head), active, None)
    _check_feature(batch, index)
    dest = question.dest
    if dest is None:
        dest = active[0].position if question.feature is None else _strongest_dest(batch, index)
    reading = read_feature(batch, index, head, dest)
    if question.head is None:  # the head that matters where one looks
        head = int(np.argmax(reading.contributions))
        reading, active = read_feature(batch, index, head, dest), _active(pairs, head)
    return PromptAnswer(tokens, head, dest, _pattern(batch.pattern, head), active, reading)


def read_feature(batch: LayerBatch, index: int, head: int, dest: int) -> FeatureReading:
    """One feature at every position of the sequence, and its DFA at dest."""
    n_pos = batch.context_size
    rows = batch.row[0, 1:]
    columns = torch.full((n_pos - 1,), index, dtype=torch.int64, device=rows.device)
    hidden_pre = batch.encoded.hidden_pre[rows, columns]
    acts = batch.encoded.feature_acts[rows, columns]
    read = batch.sae.read_by_head[:, :, index]
    by_head = torch.einsum("thd,hd->th", batch.z.to(read.dtype), read) * batch.encoded.scale[:, None]
    at, feature = torch.tensor([dest]), torch.tensor([index])
    dfa = batch.dfa(0, at.to(rows.device), feature.to(rows.device))
    bias = batch.sae.coder.bias(batch.encoded, batch.row[0, at], feature)
    return FeatureReading(
        index=index,
        activation=[0.0, *_floats(acts)],
        pre_activation=[0.0, *_floats(hidden_pre)],
        head_contribution=[0.0, *_floats(by_head[:, head])],
        contributions=_floats(by_head[dest - 1]),
        bias=float(bias[0]),
        dfa=[_floats(row[: dest + 1]) for row in dfa[0]],
        residual=float(residual(dfa, bias, batch.encoded.hidden_pre[batch.row[0, at], feature])[0]),
    )


def _pattern_only(run: LoadedRun, question: PromptQuestion, tokens: Int64[Tensor, "1 pos"]) -> PromptAnswer:
    model = run.any_model
    if question.layer >= model.record.n_layers:
        raise UnfitText(f"the model has layers 0 to {model.record.n_layers - 1}")
    pattern = model.activations(tokens, [question.layer])[question.layer].pattern
    head, dest = question.head or 0, question.dest or tokens.shape[1] - 1
    return PromptAnswer(tokens[0].tolist(), head, dest, _pattern(pattern, head), (), None)


def _check_feature(batch: LayerBatch, index: int) -> None:
    d_sae = batch.sae.coder.d_sae
    if not 0 <= index < d_sae:
        raise UnfitText(f"the SAE of layer {batch.sae.layer} has features 0 to {d_sae - 1}")


def _strongest_head(pairs: FeatureBatch, question: PromptQuestion) -> int:
    """The head with the largest contribution at any token: to the feature asked for, or else to any."""
    rows = pairs.contribution
    if question.feature is not None:
        rows = rows[pairs.feature == question.feature]
    return int(np.argmax(rows.max(axis=0))) if len(rows) else 0


def _strongest_dest(batch: LayerBatch, index: int) -> int:
    acts = batch.encoded.feature_acts[batch.row[0, 1:], index]
    values = acts if bool((acts > 0).any()) else batch.encoded.hidden_pre[batch.row[0, 1:], index]
    return int(values.argmax()) + 1


def _active(pairs: FeatureBatch, head: int) -> tuple[ActiveFeature, ...]:
    """The active features, each at the token where the head contributes most, the largest contribution first.

    Ties go to the lower index and position.
    """
    added = pairs.contribution[:, head]
    order = np.lexsort((pairs.token_index, pairs.feature, -added.astype(np.float64)))
    _, first = np.unique(pairs.feature[order], return_index=True)
    rows: NDArray[np.int64] = order[np.sort(first)][:N_ACTIVE]
    return tuple(
        ActiveFeature(
            int(pairs.feature[i]), int(pairs.token_index[i]), float(pairs.activation[i]), float(added[i])
        )
        for i in rows
    )


def _pattern(pattern: Tensor, head: int) -> list[list[float]]:
    """One head's attention as [dest src], each row up to its own position."""
    return [_floats(row[: at + 1]) for at, row in enumerate(pattern[0, head])]


def _floats(values: Tensor) -> list[float]:
    return values.float().cpu().tolist()
