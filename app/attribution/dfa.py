"""Direct feature attribution (DFA): what each head, and each source position, adds to a pre-activation.

1. The pre-activation of each pair of a token and an active feature is split by head: z times the encoder column.
2. For a pair that is shown as an example, each head's term is split by source position: pattern times v.
3. The sources with the largest terms are kept by head, and of the sum over heads, with what the others add up to.
4. The terms must add up to the pre-activation less its bias; the residual is stored with the example.

A feature's pre-activation is p = scale * (z_cat @ w_read) + bias, so it splits exactly into one term per
head, and each head's term into one per source position (z is the pattern's mix of v). `w_read` is the encoder
column that p is read with, split by head; `scale` is the SAE's own per-token input scale, taken as frozen (1
for most SAEs).
Source: Kissane et al. 2024, "Interpreting Attention Layer Outputs with SAEs", arXiv 2406.17759.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int16, Int64
from torch import Tensor, einsum

from app.attribution.float64 import beside_float64, widened
from app.attribution.rows import first_largest
from app.domain.records import N_SOURCES

_GATHERED_AT_ONCE = 2**14  # 50 MB at d_in 768: an accelerator needs few large steps
_MAX_SRC = 2**15 - 1
_FEATURES_AT_ONCE = 32
# Torch says so of each first use. What is used of it is tested against a slow loop.
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state")


def pair_contributions(
    z: Float[Tensor, "token n_heads d_head"],
    w_read: Float[Tensor, "n_heads d_head d_sae"],
    scale: Float[Tensor, " token"],
    token_index: Int64[Tensor, " pair"],
    feature_index: Int64[Tensor, " pair"],
) -> Float[Tensor, "pair n_heads"]:
    """What each head adds to the pre-activation of each active (token, feature) pair, ascending by token.

    Sums over heads to p - bias. The bits of a pair do not depend on the others. Half precision is widened first: its
    products would lose what the identity checks. Multiplies at the places of active pairs alone. Measured on one
    thread, 32 active features a token, nine heads of 64, in microseconds per token: d_sae 4,608 places alone 7, rows
    gathered and multiplied 40, a product per head and then a pick 73; d_sae 24,576 places alone 13 to 27.
    """
    dtype = _at_least_float32(z)
    multiply = products_at_places if z.device.type == "cpu" else products_of_gathered
    products = multiply(z.to(dtype), w_read, token_index, feature_index)
    return products * scale.index_select(0, token_index).to(dtype)[:, None]


def products_at_places(
    z: Float[Tensor, "token n_heads d_head"],
    w_read: Float[Tensor, "n_heads d_head d_sae"],
    token_index: Int64[Tensor, " pair"],
    feature_index: Int64[Tensor, " pair"],
) -> Float[Tensor, "pair n_heads"]:
    """By a product per head of which only some places are wanted (SDDMM), each summed on its own."""
    n_tokens, n_heads, _ = z.shape
    if len(feature_index) < w_read.shape[2]:  # each head's columns are copied whole
        w_read = w_read.index_select(2, feature_index)
        feature_index = torch.arange(len(feature_index))
    first = torch.searchsorted(token_index, torch.arange(n_tokens + 1))
    nothing = z.new_zeros(len(token_index))
    shape = (n_tokens, w_read.shape[2])
    places = torch.sparse_csr_tensor(first, feature_index, nothing, shape, check_invariants=False)
    out = z.new_empty((len(token_index), n_heads))
    for head in range(n_heads):
        columns = w_read[head].to(z.dtype)
        out[:, head] = torch.sparse.sampled_addmm(places, z[:, head], columns, beta=0.0).values()
    return out


def products_of_gathered(
    z: Float[Tensor, "token n_heads d_head"],
    w_read: Float[Tensor, "n_heads d_head d_sae"],
    token_index: Int64[Tensor, " pair"],
    feature_index: Int64[Tensor, " pair"],
    at_once: int = _GATHERED_AT_ONCE,
) -> Float[Tensor, "pair n_heads"]:
    """By rows gathered for each pair: columns that are not in use cost nothing. The same bits for any at_once."""
    used, feature_index = torch.unique(feature_index, return_inverse=True)
    rows = w_read.flatten(0, 1).index_select(1, used).T.contiguous().view(-1, *w_read.shape[:2])
    out = z.new_empty((len(token_index), z.shape[1]))
    for start in range(0, len(token_index), at_once):
        part = slice(start, start + at_once)
        read = rows.index_select(0, feature_index[part]).to(z.dtype)
        out[part] = (z.index_select(0, token_index[part]) * read).sum(dim=-1)
    return out


def dfa_by_head_and_source(
    v: Float[Tensor, "src n_heads d_head"],
    pattern: Float[Tensor, "example n_heads src"],
    w_read: Float[Tensor, "example n_heads d_head"],
    scale: Float[Tensor, " example"],
) -> Float[Tensor, "example n_heads src"]:
    """DFA by head and source, straight from the definition: A_h[t,s] * (v_h[s] . w_read_h) * scale.

    All examples are of one sequence. Sums over src to pair_contributions.
    """
    dtype = _at_least_float32(v)
    read_value = einsum("shd,ehd->ehs", v.to(dtype), w_read.to(dtype))
    return pattern * read_value * scale[:, None, None]


def sequence_dfa(
    v: Float[Tensor, "src n_heads d_head"],
    pattern: Float[Tensor, "n_heads dest src"],
    w_read: Float[Tensor, "n_heads d_head feature"],
    dest: Int[Tensor, " example"],
    feature: Int[Tensor, " example"],
    scale: Float[Tensor, " example"],
) -> Float[Tensor, "example n_heads src"]:
    """dfa_by_head_and_source for many examples of one sequence that share features.

    v meets w_read first, once per feature in use, so the largest array is [n_heads src feature] or the
    result, never [dest src d_in]. Columns of w_read that no example names cost nothing.
    """
    used, feature = torch.unique(feature, return_inverse=True)
    dtype = _at_least_float32(v)
    values = v.to(dtype).transpose(0, 1)
    # Always of one shape: a product's last bits may depend on its width, and so on the other examples.
    parts = used.split(_FEATURES_AT_ONCE)
    blank = (0, _FEATURES_AT_ONCE - len(parts[-1])) if len(used) else (0, 0)
    columns = [w_read.index_select(2, part).to(dtype) for part in parts]
    columns[-1] = torch.nn.functional.pad(columns[-1], blank)
    read_value = torch.cat([torch.bmm(values, part) for part in columns], dim=2)
    # Features first, so that each example copies whole rows of src.
    per_example = read_value.permute(2, 0, 1).contiguous().index_select(0, feature)
    attention = pattern.transpose(0, 1).index_select(0, dest).to(dtype)
    return per_example.mul_(attention).mul_(scale[:, None, None])


def dfa_by_source(dfa: Float[Tensor, "example n_heads src"]) -> Float64[Tensor, "example src"]:
    """DFA by source position with the heads summed."""
    return widened(dfa).sum(dim=1)


@dataclass(frozen=True)
class KeptSources:
    """The sources kept of each example and head. dfa.sum(-1) + rest is the head contribution."""

    source: Int16[Tensor, "example n_heads kept"]  # -1 in unused slots
    dfa: Float32[Tensor, "example n_heads kept"]  # 0 in unused slots
    rest: Float32[Tensor, "example n_heads"]  # the sum over every source not kept


def keep_sources(dfa: Float[Tensor, "example n_heads src"], dest: Int[Tensor, " example"]) -> KeptSources:
    """The N_SOURCES sources that say most about each example and head, and the sum of the others.

    Slot 0 is the source with the largest signed DFA, the others follow by magnitude; ties go to the earlier
    source. Only sources up to dest are candidates. Should a pattern reach past dest, what it adds stays in
    `rest`, so the identity still sees it.
    Raises ValueError for a context too long for 16-bit sources.
    """
    n_src = dfa.shape[-1]
    if n_src > _MAX_SRC:
        raise ValueError(f"{n_src} source positions do not fit in 16 bits")
    dfa = beside_float64(dfa.float())
    dest = dest.to(dfa.device)
    src = torch.arange(n_src, device=dfa.device)
    past = torch.where(src > dest[:, None, None], -torch.inf, 0.0)
    first = first_largest(dfa + past)[..., None]
    magnitude = (dfa.abs() + past).scatter(-1, first, torch.inf)
    key = _largest(_magnitude_key(magnitude), min(N_SOURCES, n_src))
    unused = key < 0
    selected = torch.where(unused, first, _source_of(key))
    value = dfa.gather(-1, selected).masked_fill(unused, 0.0)
    left = dfa.scatter(-1, selected, 0.0)
    missing = (0, N_SOURCES - selected.shape[-1])
    return KeptSources(
        source=torch.nn.functional.pad(selected.masked_fill(unused, -1).short(), missing, value=-1),
        dfa=torch.nn.functional.pad(value, missing),
        # Widened before the sum: a sum that widens as it goes takes a hundred times as long.
        rest=left.double().sum(dim=-1).float(),
    )


def _magnitude_key(
    magnitude: Float32[Tensor, "example n_heads src"],
) -> Int64[Tensor, "example n_heads src"]:
    """Keys in the order of the values, and of equal values the earlier source first; negative for -inf."""
    src = torch.arange(magnitude.shape[-1], device=magnitude.device)
    # Bits of floats that are not negative order as these do.
    return magnitude.view(torch.int32).long().bitwise_left_shift_(16).bitwise_or_(_MAX_SRC - src)


def _source_of(key: Int64[Tensor, "example n_heads kept"]) -> Int64[Tensor, "example n_heads kept"]:
    return _MAX_SRC - (key & 0xFFFF)


def _largest(key: Int64[Tensor, "example n_heads src"], k: int) -> Int64[Tensor, "example n_heads kept"]:
    """The k largest of each row, largest first. numpy sorts rows of integers with vector instructions."""
    if key.device.type != "cpu":
        return key.topk(k, dim=-1).values
    ascending = np.sort(key.numpy(), axis=-1)
    return torch.from_numpy(ascending[..., : -k - 1 : -1].copy())


def residual(
    dfa: Float[Tensor, "example n_heads src"],
    bias: Float[Tensor, " example"],
    pre_activation: Float[Tensor, " example"],
) -> Float64[Tensor, " example"]:
    """How far the DFA terms miss the encode path: |sum DFA + bias - p| / sum |DFA|.

    0 when nothing is missed, 0/0 included; infinite when something is and no source adds anything.
    """
    flat = widened(dfa).flatten(1)
    miss = (flat.sum(dim=1) + widened(bias) - widened(pre_activation)).abs()
    return torch.where(miss == 0, 0.0, miss / flat.abs().sum(dim=1))


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
