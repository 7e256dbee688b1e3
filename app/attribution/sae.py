"""A sparse autoencoder on hook_z: encode, decode, and the linear view of encode that attribution reads."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor
from torch.nn.functional import embedding_bag

from app.attribution.rows import places_of_true
from app.attribution.sae_steps import Activation, InputNorm

Places = tuple[Int64[Tensor, " pair"], Int64[Tensor, " pair"]]  # tokens and features
_SPARSE_SHARE = 0.1  # of active entries, up to which gathering rows is faster than a dense product


@dataclass(frozen=True, eq=False)
class EncodedTokens:
    """One batch of tokens through the encoder.

    hidden_pre is p, the pre-activation (for a gated SAE the magnitude path; for a TopK SAE that weighs
    features by decoder norm, after that weighing). For every token and feature
    p = scale * ((z - shift) @ w_read[:, feature]) + bias_read[feature], with scale and shift of the token.
    """

    feature_acts: Float[Tensor, "token d_sae"]
    hidden_pre: Float[Tensor, "token d_sae"]
    scale: Float[Tensor, " token"]
    shift: Float[Tensor, " token"]
    unscale: Float[Tensor, " token"]


@dataclass(frozen=True, eq=False)
class SparseCoder:
    """The frozen weights of an SAE over all heads of one layer's hook_z, heads concatenated.

    b_enc is the bias of x @ w_enc; for a gated SAE that is the gate's.
    Raises ValueError where shapes disagree, or d_in is not n_heads * d_head.
    """

    architecture: str
    n_heads: int
    d_head: int
    w_enc: Float[Tensor, "d_in d_sae"]
    w_dec: Float[Tensor, "d_sae d_in"]
    b_enc: Float[Tensor, " d_sae"]
    b_dec: Float[Tensor, " d_in"]
    apply_b_dec_to_input: bool
    activation: Activation
    input_norm: InputNorm

    def __post_init__(self) -> None:
        _check_shapes(self)
        self.activation.check(self.d_sae)

    @property
    def d_in(self) -> int:
        return self.w_enc.shape[0]

    @property
    def d_sae(self) -> int:
        return self.w_enc.shape[1]

    @torch.no_grad()
    def encode(self, z_cat: Float[Tensor, "token d_in"]) -> EncodedTokens:
        """Feature activations and pre-activations, in the dtype of the weights."""
        normed = self.input_norm.apply(z_cat.to(self.w_enc.dtype))
        x = normed.x - self.b_dec if self.apply_b_dec_to_input else normed.x
        hidden_pre, feature_acts = self.activation.encode(x, self.w_enc, self.b_enc)
        return EncodedTokens(feature_acts, hidden_pre, normed.scale, normed.shift, normed.unscale)

    @torch.no_grad()
    def decode(
        self,
        feature_acts: Float[Tensor, "token d_sae"],
        encoded: EncodedTokens,
        active: Places | None = None,
    ) -> Float[Tensor, "token d_in"]:
        """z_hat from (possibly edited) activations; `encoded` holds each token's input steps to undo.

        active: where feature_acts is not 0, token by token, if that is known.
        """
        gain = self.activation.write_gain()
        acts = feature_acts if gain is None else feature_acts * gain
        x_hat = self.b_dec + sparse_product(acts, self.w_dec, active)
        return x_hat * encoded.unscale[:, None] + encoded.shift[:, None]

    @cached_property
    def w_read(self) -> Float[Tensor, "d_in d_sae"]:
        """What a unit of normalised z adds to p: encoder columns times every per-feature factor of p."""
        gain = self.activation.read_gain()
        return self.w_enc if gain is None else self.w_enc * gain

    @cached_property
    def bias_read(self) -> Float[Tensor, " d_sae"]:
        """p of a normalised input of zero: the encoder's bias, less b_dec where the SAE subtracts it."""
        zero = -self.b_dec if self.apply_b_dec_to_input else torch.zeros_like(self.b_dec)
        with torch.no_grad():
            hidden_pre, _ = self.activation.encode(zero[None], self.w_enc, self.b_enc)
        return hidden_pre[0]

    @cached_property
    def w_write(self) -> Float[Tensor, "d_sae d_in"]:
        """What a unit of activation adds to z_hat: decoder rows times every factor but a token's own."""
        gain, scale = self.activation.write_gain(), self.input_norm.write_scale
        if gain is None:
            return self.w_dec if scale == 1 else self.w_dec * scale
        return self.w_dec * (gain * scale)[:, None]

    @cached_property
    def _w_read_sum(self) -> Float[Tensor, " d_sae"]:
        return self.w_read.sum(dim=0)

    @property
    def read_by_head(self) -> Float[Tensor, "n_heads d_head d_sae"]:
        """w_read split by head; a view."""
        return self.w_read.view(self.n_heads, self.d_head, self.d_sae)

    @property
    def decoder_by_head(self) -> Float[Tensor, "d_sae n_heads d_head"]:
        """W_dec split by head; a view."""
        return self.w_dec.view(self.d_sae, self.n_heads, self.d_head)

    @property
    def write_by_head(self) -> Float[Tensor, "d_sae n_heads d_head"]:
        """w_write split by head; a view."""
        return self.w_write.view(self.d_sae, self.n_heads, self.d_head)

    def bias(
        self, encoded: EncodedTokens, token_index: Int[Tensor, " pair"], feature_index: Int[Tensor, " pair"]
    ) -> Float[Tensor, " pair"]:
        """The part of p that no head adds: p = scale * (z @ w_read[:, feature]) + bias, pair by pair."""
        offset = encoded.scale[token_index] * encoded.shift[token_index]
        return self.bias_read[feature_index] - offset * self._w_read_sum[feature_index]


def sparse_product(
    acts: Float[Tensor, "token d_sae"], w_dec: Float[Tensor, "d_sae d_in"], active: Places | None = None
) -> Float[Tensor, "token d_in"]:
    """acts @ w_dec from the rows of active features alone: a token has tens of them, of thousands."""
    token, feature = active or places_of_true(acts != 0)
    is_sparse = 0 < len(token) <= acts.numel() * _SPARSE_SHARE
    # MPS has no bags in all versions of torch, and a CPU has them in float32 and float64 alone.
    if not is_sparse or acts.device.type == "mps" or acts.dtype not in (torch.float32, torch.float64):
        return acts @ w_dec
    first = torch.searchsorted(token, torch.arange(len(acts), device=acts.device))
    return embedding_bag(feature, w_dec, first, mode="sum", per_sample_weights=acts[token, feature])


def _check_shapes(coder: SparseCoder) -> None:
    d_in, d_sae = coder.w_enc.shape
    if d_in != coder.n_heads * coder.d_head:
        raise ValueError(f"d_in {d_in} is not {coder.n_heads} heads of {coder.d_head}")
    expected = {"w_dec": (d_sae, d_in), "b_enc": (d_sae,), "b_dec": (d_in,)}
    for name, shape in expected.items():
        actual = tuple(getattr(coder, name).shape)
        if actual != shape:
            raise ValueError(f"{name} has shape {actual}, not {shape}")
