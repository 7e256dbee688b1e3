"""A batch of a layer as the arrays that its payloads are made from: the fewest bytes that give the same bits.

Arrays that the rest reproduces exactly are left out, which is tried on each batch: attention to later tokens, values
that grouped-query heads share, and z if it is the product of pattern and values.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from app.attribution.sae import EncodedTokens
from app.precompute.layer_batch import LayerBatch, token_rows
from app.precompute.loaded_run import LayerSae
from app.statistics.arrays import AnyArray, Ints

_MAX_UINT16 = 2**16
_FULL_RANK = 4


def pack_batch(batch: LayerBatch, n_key_value_heads: int) -> dict[str, Tensor]:
    """What is kept of a batch, where it is; feature_acts and hidden_pre only of active pairs."""
    token, feature = batch.active
    encoded, n_tokens = batch.encoded, len(batch.z)
    acts, hidden_pre = encoded.feature_acts[token, feature], encoded.hidden_pre[token, feature]
    return {
        **_attention(batch, n_key_value_heads),
        "n_active": torch.bincount(token, minlength=n_tokens).int(),
        "feature": feature.int(),
        "feature_acts": acts,
        **({} if torch.equal(hidden_pre, acts) else {"hidden_pre": hidden_pre}),
        **{name: _short(getattr(encoded, name)) for name in ("scale", "shift", "unscale")},
    }


def shortened(arrays: Mapping[str, AnyArray], d_sae: int) -> dict[str, AnyArray]:
    """The arrays of a packed batch, its features in 16 bits where these suffice: not all devices have them."""
    small = d_sae <= _MAX_UINT16
    return {**arrays, "feature": arrays["feature"].astype(np.uint16 if small else np.int32)}


def unpack_batch(
    sae: LayerSae,
    arrays: Mapping[str, AnyArray],
    counted: Bool[Tensor, "batch pos"],
    first: int,
    features: Ints,
) -> LayerBatch:
    """The batch that pack_batch packed, from its tensors as arrays, with activations of some features alone.

    features: [column] ascending. Where they are not active they have pre-activation 0, as payloads need no more.
    """
    device = sae.coder.w_enc.device
    there = {
        name: torch.from_numpy(arrays[name]).to(device) for name in ("v", "pattern", "z") if name in arrays
    }
    counted = counted.to(device)
    v, pattern = _values(there["v"], sae.coder.n_heads), _whole(there["pattern"], counted.shape[1])
    z = there["z"] if "z" in there else _mixed(pattern, v)[counted]
    encoded = _encoded(sae, arrays, len(z), features)
    return LayerBatch(sae, v, pattern, first, z, encoded, counted, token_rows(counted), features)


def _encoded(sae: LayerSae, arrays: Mapping[str, AnyArray], n_tokens: int, features: Ints) -> EncodedTokens:
    """The tokens with a column for each of the features."""
    device = sae.coder.w_enc.device
    column_of = np.full(sae.coder.d_sae, -1)
    column_of[features] = np.arange(len(features))
    column = column_of[arrays["feature"]]
    pair = np.flatnonzero(column >= 0)
    token = np.repeat(np.arange(n_tokens), arrays["n_active"])[pair]
    places = tuple(torch.from_numpy(each).to(device) for each in (token, column[pair]))

    def dense(name: str) -> Tensor:
        values = torch.from_numpy(arrays[name][pair]).to(device)
        return values.new_zeros((n_tokens, len(features))).index_put_(places, values)

    acts = dense("feature_acts")
    steps = {
        name: torch.from_numpy(arrays[name]).to(device).expand(n_tokens)
        for name in ("scale", "shift", "unscale")
    }
    return EncodedTokens(acts, dense("hidden_pre") if "hidden_pre" in arrays else acts, **steps)


def _attention(batch: LayerBatch, n_key_value_heads: int) -> dict[str, Tensor]:
    shared = batch.v[:, :, :: batch.v.shape[2] // n_key_value_heads]
    v = shared if torch.equal(_values(shared, batch.v.shape[2]), batch.v) else batch.v
    pattern = batch.pattern if batch.pattern.triu(1).any() else _triangle(batch.pattern)
    z = _mixed(batch.pattern.contiguous(), batch.v.contiguous())[batch.counted]
    return {"v": v, "pattern": pattern, **({} if torch.equal(z, batch.z) else {"z": batch.z})}


def _mixed(
    pattern: Float[Tensor, "batch n_heads dest src"], v: Float[Tensor, "batch src n_heads d_head"]
) -> Float[Tensor, "batch dest n_heads d_head"]:
    """z as models compute it, from tensors with the memory layout that they have when read again."""
    return torch.matmul(pattern, v.transpose(1, 2).contiguous()).transpose(1, 2)


def _values(
    v: Float[Tensor, "batch src n_key_value_heads d_head"], n_heads: int
) -> Float[Tensor, "batch src n_heads d_head"]:
    return v.repeat_interleave(n_heads // v.shape[2], dim=2)


def _triangle(pattern: Float[Tensor, "batch n_heads pos pos"]) -> Float[Tensor, "batch n_heads pair"]:
    return pattern.flatten(2).index_select(2, _places(pattern.shape[-1], pattern.device))


def _whole(pattern: Tensor, n: int) -> Float[Tensor, "batch n_heads pos pos"]:
    if pattern.ndim == _FULL_RANK:  # it was not cut to its triangle
        return pattern
    flat = pattern.new_zeros((*pattern.shape[:2], n * n))
    return flat.index_copy_(2, _places(n, pattern.device), pattern).unflatten(2, (n, n))


def _places(n: int, device: torch.device) -> Tensor:
    dest, src = torch.tril_indices(n, n, device=device)
    return dest * n + src


def _short(values: Float[Tensor, " token"]) -> Float[Tensor, " token"]:
    """The first value if all values are equal, else all of them."""
    return values[:1] if len(values) and (values == values[0]).all() else values
