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
from app.statistics.arrays import AnyArray

_MAX_UINT16 = 2**16
_FULL_RANK = 4


def pack_batch(batch: LayerBatch, n_key_value_heads: int) -> dict[str, Tensor]:
    """What is kept of a batch, where it is; feature_acts and hidden_pre only of active pairs."""
    token, feature = batch.active
    encoded, n_tokens = batch.encoded, len(batch.z)
    acts, hidden_pre = encoded.feature_acts[token, feature], encoded.hidden_pre[token, feature]
    small = batch.sae.coder.d_sae <= _MAX_UINT16
    return {
        **_attention(batch, n_key_value_heads),
        "n_active": torch.bincount(token, minlength=n_tokens).int(),
        "feature": feature.to(torch.uint16 if small else torch.int32),
        "feature_acts": acts,
        **({} if torch.equal(hidden_pre, acts) else {"hidden_pre": hidden_pre}),
        **{name: _short(getattr(encoded, name)) for name in ("scale", "shift", "unscale")},
    }


def unpack_batch(
    sae: LayerSae, arrays: Mapping[str, AnyArray], counted: Bool[Tensor, "batch pos"], first: int
) -> LayerBatch:
    """The batch that pack_batch packed, from its tensors as arrays.

    Features that are not active have pre-activation 0, as payloads need no more.
    """
    device, n_tokens = sae.coder.w_enc.device, int(counted.sum())
    feature = torch.from_numpy(arrays["feature"].astype(np.int64)).to(device)
    tensors = {
        name: torch.from_numpy(array).to(device) for name, array in arrays.items() if name != "feature"
    }
    counted = counted.to(device)
    token = torch.repeat_interleave(torch.arange(n_tokens, device=device), tensors["n_active"])
    v, pattern = _values(tensors["v"], sae.coder.n_heads), _whole(tensors["pattern"], counted.shape[1])
    z = tensors["z"] if "z" in tensors else _mixed(pattern, v)[counted]
    acts = tensors["feature_acts"]
    encoded = EncodedTokens(
        feature_acts=_dense(token, feature, acts, (n_tokens, sae.coder.d_sae)),
        hidden_pre=_dense(token, feature, tensors.get("hidden_pre", acts), (n_tokens, sae.coder.d_sae)),
        **{name: tensors[name].expand(n_tokens) for name in ("scale", "shift", "unscale")},
    )
    return LayerBatch(sae, v, pattern, first, z, encoded, counted, token_rows(counted))


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


def _dense(token: Tensor, feature: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    return values.new_zeros(shape).index_put_((token, feature), values)
