"""Scores of what an attention head does, from its patterns and from its OV weights."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from app.attribution.float64 import beside_float64, widened

_WIDENED_AT_ONCE = 2**20  # weights: much more memory than that is given back and taken anew for each step


@dataclass(frozen=True)
class SequenceScores:
    """One score of a layer's heads as mergeable sums: total over n is the score."""

    total: Float64[Tensor, "sequence n_heads"]
    n: Int64[Tensor, " sequence"]  # destinations summed


def random_repeated_tokens(
    n_sequences: int, length: int, d_vocab: int, special_ids: Collection[int], bos: int, seed: int
) -> Int64[Tensor, "sequence pos"]:
    """Sequences of BOS, `length` distinct random tokens that are not special, and the same tokens again.

    Raises ValueError if the vocabulary is too small, or for a length below 2 (no token would have a successor
    other than itself).
    """
    allowed = torch.ones(d_vocab, dtype=torch.bool)
    allowed[[token for token in {*special_ids, bos} if 0 <= token < d_vocab]] = False
    ordinary = allowed.nonzero().flatten()
    if length < 2 or len(ordinary) < length:
        raise ValueError(f"no {length} distinct tokens to repeat among {len(ordinary)} ordinary ones")
    generator = torch.Generator().manual_seed(seed)
    rows: list[Tensor] = []
    for _ in range(n_sequences):
        once = ordinary[torch.randperm(len(ordinary), generator=generator)[:length]]
        rows.append(torch.cat([torch.tensor([bos]), once, once]))
    return torch.stack(rows)


def repeated_sequence_scores(
    pattern: Float[Tensor, "sequence n_heads dest src"], length: int
) -> dict[str, SequenceScores]:
    """Attention on random_repeated_tokens, keys previous_token, duplicate_token and induction.

    previous_token: to the position before, over destinations from 2 on (position 1 has only BOS before it,
    where attention rests for other reasons). duplicate_token: from the second copy to the same token in the
    first. induction: from the second copy to the token after the same token in the first. With BOS at 0, a
    token of the second copy at dest has its earlier copy at dest - length.
    """
    n_dest = pattern.shape[2]
    if n_dest != 1 + 2 * length or length < 2:
        raise ValueError(f"{n_dest} positions are not BOS and two copies of {length} tokens")
    repeats = slice(length + 1, None)

    def back(offset: int, dest: slice) -> SequenceScores:
        # Column i of the diagonal is destination i + offset.
        diagonal = pattern.diagonal(offset=-offset, dim1=2, dim2=3)
        part = diagonal[:, :, slice(dest.start - offset, None)]
        count = torch.full((len(pattern),), part.shape[2], dtype=torch.int64)
        return SequenceScores(beside_float64(part).sum(dim=2, dtype=torch.float64), count)

    return {
        "previous_token": back(1, slice(2, None)),
        "duplicate_token": back(length, repeats),
        "induction": back(length - 1, repeats),
    }


def corpus_scores(
    pattern: Float[Tensor, "sequence n_heads dest src"], counted: Bool[Tensor, "sequence dest"]
) -> dict[str, SequenceScores]:
    """Attention on ordinary text, keys bos_attention, entropy (nats) and query_key_distance (tokens).

    counted: the destinations to average over, without BOS and padding. bos_attention is attention to position
    0.
    """
    at_once = max(1, _WIDENED_AT_ONCE // pattern.shape[1:].numel())
    parts = [
        _corpus_scores(*part) for part in zip(pattern.split(at_once), counted.split(at_once), strict=True)
    ]
    return {
        name: SequenceScores(
            torch.cat([part[name].total for part in parts]), torch.cat([part[name].n for part in parts])
        )
        for name in parts[0]
    }


def _corpus_scores(
    pattern: Float[Tensor, "sequence n_heads dest src"], counted: Bool[Tensor, "sequence dest"]
) -> dict[str, SequenceScores]:
    pattern = widened(pattern)
    counted = counted.to(pattern.device)
    position = torch.arange(pattern.shape[3], dtype=torch.float64, device=pattern.device)
    distance = pattern.sum(dim=3) * position - pattern @ position
    per_dest = {
        "bos_attention": pattern[:, :, :, 0],
        "entropy": torch.special.entr(pattern).sum(dim=3),
        "query_key_distance": distance,
    }
    count = counted.sum(dim=1)
    return {
        name: SequenceScores((value * counted[:, None, :]).sum(dim=2), count)
        for name, value in per_dest.items()
    }


def vocabulary_map(
    w_e: Float[Tensor, "d_vocab d_model"],
    w_u: Float[Tensor, "d_model d_vocab"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre_residual: bool,
    chunk: int = 8192,
    centre_read: bool | None = None,
) -> Float64[Tensor, "d_model d_model"]:
    """W_U @ W_E, from the residual stream out to the vocabulary and back in; one for all heads of a model.

    Takes weights as trained or with the norms folded in, and gives the same for both: the final norm's weight
    is applied, a LayerNorm's centring is applied on the way in and out, and W_U is centred over the
    vocabulary. `centre_read=False` leaves the way in to the weights that read.
    """
    w_u, w_e = beside_float64(w_u), beside_float64(w_e)
    mean_logit = w_u.mean(dim=1, keepdim=True, dtype=torch.float64)
    out = torch.zeros(w_u.shape[0], w_e.shape[1], dtype=torch.float64, device=w_u.device)
    for start in range(0, w_u.shape[1], chunk):
        part = slice(start, start + chunk)
        out += (w_u[:, part].double() - mean_logit) @ w_e[part].double()
    out *= widened(final_norm_weight)[:, None]
    if centre_residual:
        out = out - out.mean(dim=0, keepdim=True)
    if centre_residual if centre_read is None else centre_read:
        out = out - out.mean(dim=1, keepdim=True)
    return out


def copying_score(
    w_v: Float[Tensor, "n_heads d_model d_head"],
    w_o: Float[Tensor, "n_heads d_head d_model"],
    vocabulary: Float64[Tensor, "d_model d_model"],
) -> Float64[Tensor, " n_heads"]:
    """How far each head's OV circuit copies: sum of eigenvalues over sum of their sizes, from -1 to 1.

    The circuit W_E W_V W_O W_U is d_vocab square, but shares its non-zero eigenvalues with the d_head square
    W_O W_U W_E W_V. w_v is to hold the layer's input norm, w_o a norm after attention; `vocabulary` is
    vocabulary_map's. A head
    with no non-zero eigenvalue scores 0.
    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (copying, eigenvalue
    summary).
    """
    circuit = widened(w_o) @ vocabulary @ widened(w_v)
    # The eigenvalues of a real matrix sum to its trace, which is real.
    total = circuit.diagonal(dim1=1, dim2=2).sum(dim=1)
    size = torch.linalg.eigvals(circuit).abs().sum(dim=1)
    return torch.where(size == 0, 0.0, total / size)
