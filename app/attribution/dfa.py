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

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int16, Int64
from torch import Tensor, einsum

from app.attribution.float64 import beside_float64, widened
from app.attribution.rows import first_largest
from app.domain.records import N_SOURCES

# Pairs gathered at once: 1 MB of gathered rows at d_in 576, which stays in the cache. On one thread, at 32
# active features per token, 256 or 512 pairs cost 16 microseconds per token and 4,096 pairs cost 70.
CHUNK = 256
ACCELERATOR_CHUNK = 2**14  # 50 MB at d_in 768: an accelerator needs few large steps
_MAX_SRC = 2**15 - 1
_FEATURES_AT_ONCE = 32


def head_contributions(
    z: Float[Tensor, "pair n_heads d_head"],
    w_read: Float[Tensor, "pair n_heads d_head"],
    scale: Float[Tensor, " pair"],
) -> Float[Tensor, "pair n_heads"]:
    """What each head adds to each pair's pre-activation. Sums over heads to p - bias."""
    # Half precision is widened first: its products would lose what the identity checks.
    return (z.to(_at_least_float32(z)) * w_read).sum(dim=-1) * scale[:, None]


def pair_contributions(
    z: Float[Tensor, "token n_heads d_head"],
    w_read: Float[Tensor, "n_heads d_head d_sae"],
    scale: Float[Tensor, " token"],
    token_index: Int[Tensor, " pair"],
    feature_index: Int[Tensor, " pair"],
    chunk: int | None = None,
) -> Float[Tensor, "pair n_heads"]:
    """head_contributions of the active (token, feature) pairs. The same bits for any chunk.

    Gathers rows rather than multiplying by the whole dictionary. Measured on one thread, 32 active features a
    token, in microseconds per token: d_sae 2,304 gather 16, a product per head and then a pick 34 (75
    unchunked); d_sae 24,576 gather 15, product 610, encode alone 480. A w_read whose storage is [d_sae
    n_heads d_head], seen through a permuted view, is gathered in place; otherwise the columns in use are
    copied once per call (2 microseconds per token at 2,304 and 70 at 24,576, in calls of 1,024 tokens), and
    columns not in use still cost nothing.
    """
    rows = w_read.permute(2, 0, 1)
    if not rows.is_contiguous():
        used, feature_index = torch.unique(feature_index, return_inverse=True)
        rows = w_read.flatten(0, 1).index_select(1, used).T.contiguous().view(-1, *w_read.shape[:2])
    dtype = _at_least_float32(z)
    if chunk is None:
        chunk = CHUNK if z.device.type == "cpu" else ACCELERATOR_CHUNK
    out = torch.empty((len(token_index), z.shape[1]), dtype=dtype, device=z.device)
    for start in range(0, len(token_index), chunk):
        part = slice(start, start + chunk)
        tokens = token_index[part]
        out[part] = head_contributions(
            z.index_select(0, tokens),
            rows.index_select(0, feature_index[part]).to(dtype),
            scale.index_select(0, tokens).to(dtype),
        )
    return out


def dfa_by_head_and_source(
    v: Float[Tensor, "src n_heads d_head"],
    pattern: Float[Tensor, "example n_heads src"],
    w_read: Float[Tensor, "example n_heads d_head"],
    scale: Float[Tensor, " example"],
) -> Float[Tensor, "example n_heads src"]:
    """DFA by head and source, straight from the definition: A_h[t,s] * (v_h[s] . w_read_h) * scale.

    All examples are of one sequence. Sums over src to head_contributions.
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
