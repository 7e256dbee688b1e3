"""Decoder weight attribution: which heads a feature writes to, and each head's best features."""

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from app.attribution.float64 import beside_float64, widened
from app.attribution.rows import largest_of_rows

UNRANKED = -1


def decoder_weight_norm(w_dec: Float[Tensor, "d_sae n_heads d_head"]) -> Float64[Tensor, "d_sae n_heads"]:
    """The L2 norm of each head's slice of each feature's decoder row.

    The squares sum over heads to the squared norm of the whole row.
    """
    return torch.linalg.vector_norm(beside_float64(w_dec), dim=-1, dtype=torch.float64)


def decoder_weight_share(norm: Float[Tensor, "d_sae n_heads"]) -> Float64[Tensor, "d_sae n_heads"]:
    """Each head's share of a feature's slice norms. Sums to 1 over heads; a zero row gives zeros.

    Unlike the norm, it does not change when a whole decoder row is rescaled.
    Source: Kissane et al. 2024, "We Inspected Every Head In GPT-2 Small using SAEs" (decoder weight
    attribution).
    """
    norm = widened(norm)
    total = norm.sum(dim=-1, keepdim=True)
    return torch.where(total == 0, 0.0, norm / total)


def rank_features(
    value: Float[Tensor, "d_sae n_heads"], eligible: Bool[Tensor, " d_sae"], k: int
) -> Int64[Tensor, "n_heads k"]:
    """Each head's k best eligible features: largest value first, then the lower index.

    NaN is never ranked. A head with fewer than k rankable features ends in UNRANKED.
    """
    order, rankable = _full_order(value, eligible)
    best = torch.where(rankable, order, UNRANKED)[:k]
    missing = best.new_full((k - len(best), best.shape[1]), UNRANKED)
    return torch.cat([best, missing]).T.contiguous()


def feature_ranks(
    value: Float[Tensor, "d_sae n_heads"], eligible: Bool[Tensor, " d_sae"]
) -> Int64[Tensor, "d_sae n_heads"]:
    """The place of every feature in every head's ranking (by rank_features), from 1; 0 where it is not ranked."""
    order, rankable = _full_order(value, eligible)
    place = torch.arange(1, len(order) + 1, device=order.device)[:, None].expand_as(order)
    return torch.zeros_like(order).scatter_(0, order, torch.where(rankable, place, 0))


def concentration(
    share: Float[Tensor, "d_sae n_heads"], live: Bool[Tensor, " d_sae"]
) -> Float64[Tensor, " n_heads"]:
    """The largest share each head has of any live feature. NaN when no feature is live."""
    if not live.any():
        return beside_float64(share).new_full((share.shape[1],), torch.nan, dtype=torch.float64)
    return widened(share[live]).amax(dim=0)


def unit_rows(w_dec: Float[Tensor, "d_sae d_in"]) -> Float64[Tensor, "d_sae d_in"]:
    """The direction of each feature's decoder row; zeros for a zero row."""
    rows = widened(w_dec)
    norm = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return torch.where(norm == 0, 0.0, rows / norm)


def most_similar(
    unit: Float64[Tensor, "d_sae d_in"], k: int, of: slice = slice(None), rows_at_once: int = 256
) -> tuple[Int64[Tensor, "feature k"], Float64[Tensor, "feature k"]]:
    """For each feature, or some, the k others with the most similar decoder rows, and their cosines, largest first.

    unit: from `unit_rows`. Ties go to the lower index. Columns are fewer than k where there are not k others. A zero
    row is similar to none: its cosines are 0.
    """
    if not len(unit):
        return torch.zeros((0, k), dtype=torch.int64), torch.zeros((0, k), dtype=torch.float64)
    indices: list[Tensor] = []
    cosines: list[Tensor] = []
    for place in torch.arange(len(unit), device=unit.device)[of].split(rows_at_once):
        part = unit[place] @ unit.T
        part[torch.arange(len(part)), place] = -torch.inf
        index, cosine = largest_of_rows(part, min(k, len(unit) - 1))
        indices.append(index)
        cosines.append(cosine)
    return torch.cat(indices), torch.cat(cosines)


def _full_order(
    value: Float[Tensor, "d_sae n_heads"], eligible: Bool[Tensor, " d_sae"]
) -> tuple[Int64[Tensor, "d_sae n_heads"], Bool[Tensor, "d_sae n_heads"]]:
    """Feature indices in ranking order for each head, and whether each place is ranked at all."""
    rankable = eligible[:, None] & ~value.isnan()
    number = torch.where(value.isnan(), 0.0, value)
    by_value = torch.sort(number, dim=0, descending=True, stable=True).indices
    # A second stable sort, not a sentinel value: an eligible -inf must still come before the unranked.
    sorted_rankable = rankable.gather(0, by_value)
    place = torch.sort((~sorted_rankable).byte(), dim=0, stable=True).indices
    return by_value.gather(0, place), sorted_rankable.gather(0, place)
