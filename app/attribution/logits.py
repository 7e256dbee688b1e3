"""Logit effects: what one unit of a direction in the residual stream adds to each token's logit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor, einsum

from app.attribution.float64 import beside_float64, widened
from app.attribution.products import product
from app.attribution.rows import largest_of_rows, smallest_of_rows, sorted_rows
from app.domain.evidence import NO_TOKEN

# Logits held at once: 64 MB in float32, whatever the vocabulary.
CHUNK_LOGITS = 2**24
N_HISTOGRAM_BINS = 40
_UNITS_AT_ONCE = 64


@dataclass(frozen=True)
class TopLogits:
    """Tokens of each unit and their logits, strongest first; equal logits in order of token id."""

    token_id: Int64[Tensor, "*unit k"]
    logit: Float32[Tensor, "*unit k"]

    def of(self, units: slice) -> "TopLogits":
        """Those of some of the units, by the first of their dimensions."""
        return TopLogits(self.token_id[units], self.logit[units])


@dataclass(frozen=True)
class LogitSummary:
    """What is kept of each unit's logits: both ends, and a histogram of all of them."""

    promoted: TopLogits
    suppressed: TopLogits
    edges: Float64[Tensor, "unit edge"]
    counts: Int64[Tensor, "unit bin"]

    @classmethod
    def joined(cls, parts: Sequence["LogitSummary"]) -> "LogitSummary":
        """One summary of the units of several, in their order."""
        return cls(
            promoted=_joined([part.promoted for part in parts]),
            suppressed=_joined([part.suppressed for part in parts]),
            edges=torch.cat([part.edges for part in parts]),
            counts=torch.cat([part.counts for part in parts]),
        )


def feature_directions(
    w_dec: Float[Tensor, "feature n_heads d_head"], w_o: Float[Tensor, "n_heads d_head d_model"]
) -> Float[Tensor, "feature n_heads d_model"]:
    """The residual direction that each head's slice of a decoder row writes. Heads sum to the feature's."""
    return einsum("fhd,hdm->fhm", w_dec, w_o.to(w_dec.dtype))


def logit_effect(
    direction: Float[Tensor, "unit d_model"],
    w_u: Float[Tensor, "d_model d_vocab"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre_residual: bool,
) -> Float[Tensor, "unit d_vocab"]:
    """Logits that a unit of each direction adds, with the final norm's scale taken as 1, about their mean.

    centre_residual: the final norm is a LayerNorm, which takes the mean over d_model out of the direction.
    Without it, weights as trained and weights with the norm folded in would disagree. The mean over the
    vocabulary moves no probability and differs between the two forms as well, so it is taken out.
    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct path to the
    logits).
    """
    return _about_mean(product(_read_out(direction, final_norm_weight, centre_residual).to(w_u.dtype), w_u))


def summarise_logits(
    direction: Float[Tensor, "unit d_model"],
    w_u: Float[Tensor, "d_model d_vocab"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre_residual: bool,
    k: int,
) -> LogitSummary:
    """Top and bottom k tokens and a histogram of each direction's logit effect, in bounded memory."""
    step = max(1, CHUNK_LOGITS // w_u.shape[1])
    parts: list[LogitSummary] = []
    read_out = _read_out(direction, final_norm_weight, centre_residual).to(w_u.dtype)
    for rows in _products(read_out, w_u, step):
        logits = _about_mean(rows).float()
        ascending = sorted_rows(logits)
        ends, histogram = top_and_bottom(logits, k, ascending), logit_histogram(logits, ascending=ascending)
        parts.append(LogitSummary(*ends, *histogram))
    return LogitSummary.joined(parts)


def head_slice_tops(
    w_dec: Float[Tensor, "feature n_heads d_head"],
    w_o: Float[Tensor, "n_heads d_head d_model"],
    w_u: Float[Tensor, "d_model d_vocab"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre_residual: bool,
    k: int,
    wanted: Bool[Tensor, "feature n_heads"],
    each: "_Map" = map,
) -> tuple[TopLogits, TopLogits]:
    """Top and bottom k tokens of the wanted heads' slices of each feature, as [feature n_heads k].

    Of others the token is NO_TOKEN and the logit 0. Where at least d_head features want a head, its path to the logits
    is multiplied out once, [d_head d_vocab], so that a slice costs d_head and not d_model products per token: many
    times less over a dictionary. The few slices of other heads go through w_o and w_u, all together. Which of the two
    it was shows in a slice's last bits, other slices do not. each: `map`, or what like it has several heads' work done
    at once.
    """
    k = min(k, w_u.shape[1])
    shape = (*w_dec.shape[:2], k)
    token_ids = torch.full((2, *shape), NO_TOKEN, device=w_dec.device)
    logits = torch.zeros((2, *shape), device=w_dec.device)
    read_out = (w_u, final_norm_weight, centre_residual)
    wanted = wanted.cpu()
    work = partial(_slice_tops, w_dec, w_o, read_out, wanted, k)
    for features, heads, ends in each(work, _head_groups(wanted, w_dec.shape[2])):
        for side, of_side in enumerate(ends):
            token_ids[side, features, heads], logits[side, features, heads] = of_side.token_id, of_side.logit
    return TopLogits(token_ids[0], logits[0]), TopLogits(token_ids[1], logits[1])


_SliceTops: TypeAlias = tuple[Int64[Tensor, " slice"], Int64[Tensor, " slice"], tuple[TopLogits, TopLogits]]
_Map: TypeAlias = Callable[[Callable[[list[int]], _SliceTops], Iterable[list[int]]], Iterable[_SliceTops]]


def _head_groups(wanted: Bool[Tensor, "feature n_heads"], d_head: int) -> list[list[int]]:
    """The heads whose slices are wanted: each that many features want by itself, all others together."""
    n_wanting = wanted.sum(dim=0).tolist()
    many = [[head] for head, n in enumerate(n_wanting) if n >= d_head]
    few = [head for head, n in enumerate(n_wanting) if 0 < n < d_head]
    return [*many, few] if few else many


def _slice_tops(
    w_dec: Float[Tensor, "feature n_heads d_head"],
    w_o: Float[Tensor, "n_heads d_head d_model"],
    read_out: tuple[Float[Tensor, "d_model d_vocab"], Float[Tensor, " d_model"], bool],
    wanted: Bool[Tensor, "feature n_heads"],
    k: int,
    heads: list[int],
) -> _SliceTops:
    """Features and heads of the slices that are wanted of one group of heads, with their top and bottom k tokens."""
    features = [wanted[:, head].nonzero()[:, 0].to(w_dec.device) for head in heads]
    products = _slice_products(w_dec, w_o, read_out, features, heads)
    top, bottom = zip(*(top_and_bottom(product.float(), k) for product in products), strict=True)
    of_head = torch.cat([torch.full_like(of, head) for head, of in zip(heads, features, strict=True)])
    return torch.cat(features), of_head, (_joined(top), _joined(bottom))


def _slice_products(
    w_dec: Float[Tensor, "feature n_heads d_head"],
    w_o: Float[Tensor, "n_heads d_head d_model"],
    read_out: tuple[Float[Tensor, "d_model d_vocab"], Float[Tensor, " d_model"], bool],
    features: list[Int64[Tensor, " _"]],
    heads: list[int],
) -> Iterator[Float[Tensor, "part d_vocab"]]:
    """The logits of each head's slices of its features, one after the other."""
    w_u, norm_weight, centre = read_out
    step = max(1, CHUNK_LOGITS // w_u.shape[1])
    if len(features[0]) >= w_dec.shape[2]:  # and so the only head
        path = logit_effect(w_o[heads[0]], w_u, norm_weight, centre)
        return _products(w_dec[features[0], heads[0]].to(path.dtype), path, step)
    slices = zip(heads, features, strict=True)
    direction = torch.cat([_slice_directions(w_dec[of, head], w_o[head]) for head, of in slices])
    return map(_about_mean, _products(_read_out(direction, norm_weight, centre).to(w_u.dtype), w_u, step))


def _slice_directions(
    slices: Float[Tensor, "slice d_head"], w_o: Float[Tensor, "d_head d_model"]
) -> Float[Tensor, "slice d_model"]:
    """The residual direction that each of fewer than d_head slices of a head writes: always a product of one shape."""
    whole = torch.nn.functional.pad(slices, (0, 0, 0, len(w_o) - len(slices)))
    return product(whole, w_o.to(slices.dtype))[: len(slices)]


def token_logit_by_head(
    direction: Float[Tensor, "feature n_heads d_model"],
    token_id: Int64[Tensor, " feature"],
    w_u: Float[Tensor, "d_model d_vocab"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre_residual: bool,
    mean: Float64[Tensor, " d_model"] | None = None,
) -> Float32[Tensor, "feature n_heads"]:
    """Logit effect of every head's slice on one token of each feature. Heads sum to the feature's own.

    mean: of w_u over the vocabulary, where it is known.
    """
    read_out = widened(_read_out(direction, final_norm_weight, centre_residual))
    column = widened(w_u[:, token_id].T) - (widened(w_u).mean(dim=1) if mean is None else mean)
    return (read_out * column[:, None]).sum(dim=-1).float()


def top_and_bottom(
    logits: Float[Tensor, "unit d_vocab"], k: int, ascending: Float32[Tensor, "unit d_vocab"] | None = None
) -> tuple[TopLogits, TopLogits]:
    """The k largest and the k smallest logits of each unit, strongest first, then the lower token id.

    Columns of W_U repeat in real vocabularies, so there are ties. ascending: the logits in float32, each unit's by
    size, where they were sorted before.
    """
    logits, k = logits.float(), min(k, logits.shape[1])
    bounds = (None, None) if ascending is None else (ascending[:, -k], ascending[:, k - 1])
    top, bottom = largest_of_rows(logits, k, bounds[0]), smallest_of_rows(logits, k, bounds[1])
    return TopLogits(*top), TopLogits(*bottom)


def logit_histogram(
    logits: Float[Tensor, "unit d_vocab"],
    n_bins: int = N_HISTOGRAM_BINS,
    ascending: Float32[Tensor, "unit d_vocab"] | None = None,
) -> tuple[Float64[Tensor, "unit edge"], Int64[Tensor, "unit bin"]]:
    """Equal bins from each unit's smallest to its largest logit; counts sum to d_vocab.

    A bin holds its lower edge and the last one also its upper. If all logits are equal the bins span 1 about
    them. An edge's place among the logits by size, which are `ascending` where known, is how many are below it.
    """
    ordered = beside_float64(sorted_rows(logits.float()) if ascending is None else ascending)
    lower, upper = widened(ordered[:, :1]), widened(ordered[:, -1:])
    flat = upper == lower
    lower, upper = torch.where(flat, lower - 0.5, lower), torch.where(flat, upper + 0.5, upper)
    steps = torch.linspace(0, 1, n_bins + 1, dtype=torch.float64, device=ordered.device)
    edges = lower + (upper - lower) * steps
    edges[:, -1:] = upper
    below = torch.searchsorted(ordered, _rounded_up(edges[:, 1:-1]))
    ends = (torch.zeros_like(below[:, :1]), torch.full_like(below[:, :1], ordered.shape[1]))
    return edges, torch.cat([ends[0], below, ends[1]], dim=1).diff(dim=1)


def _rounded_up(values: Float64[Tensor, "*any"]) -> Float32[Tensor, "*any"]:
    """The least float32 that is not below each value: as many numbers of float32 are below the one as the other."""
    nearest = values.float()
    above = torch.nextafter(nearest, torch.full_like(nearest, torch.inf))
    return torch.where(nearest.double() < values, above, nearest).contiguous()


def _about_mean(logits: Float[Tensor, "unit d_vocab"]) -> Float[Tensor, "unit d_vocab"]:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits - logits.mean(dim=-1, keepdim=True)


def _products(
    units: Float[Tensor, "unit d"], path: Float[Tensor, "d d_vocab"], step: int
) -> Iterator[Float[Tensor, "part d_vocab"]]:
    """units @ path, `step` rows at a time, the last padded.

    All products have one shape: a row's last bits may depend on it, and so on which units came along.
    """
    step = min(step, _UNITS_AT_ONCE)
    for part in units.split(step):
        whole = torch.nn.functional.pad(part, (0, 0, 0, step - len(part)))
        yield product(whole, path)[: len(part)]


def _read_out(
    direction: Float[Tensor, "*unit d_model"],
    final_norm_weight: Float[Tensor, " d_model"],
    centre: bool,
) -> Float[Tensor, "*unit d_model"]:
    if centre:
        direction = direction - direction.mean(dim=-1, keepdim=True)
    return direction * final_norm_weight


def _joined(parts: Sequence[TopLogits]) -> TopLogits:
    return TopLogits(torch.cat([p.token_id for p in parts]), torch.cat([p.logit for p in parts]))
