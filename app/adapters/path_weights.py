"""The weights along the path from the residual stream through heads to logits, in float32."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from app.adapters.float32_weights import float32_weights
from app.adapters.language_model import HeadWeights, UnembedWeights
from app.adapters.norm_probe import describe_norm
from app.adapters.path_trace import probe_tokens, trace_forward
from app.adapters.residual_path import ModelPath, PathReader, weight_by_head
from app.attribution.norms import FrozenNorm
from app.domain.records import ModelRecord
from app.errors import InvalidModel


class PathWeights:
    """Weights of one bridge. The path is read off the model when it is first asked for."""

    def __init__(self, bridge: Any, record: ModelRecord) -> None:
        self._bridge, self._record = bridge, record

    @cached_property
    def path(self) -> ModelPath:
        """The way from heads to logits, read off the model in one forward pass of a few tokens."""
        trace = trace_forward(self._bridge, probe_tokens(self._bridge, self._record.bos_token_id))
        config, dtype = self._bridge.original_model.config, self._bridge.W_E.dtype
        return PathReader(trace, config, dtype, self._record.n_heads).path()

    def heads(self, layer: int) -> HeadWeights:
        """One layer's W_V and W_O, and the norms about them. Raises InvalidModel where the layer has no heads."""
        path = self.path.layers[layer]
        if not path.has_attention:
            raise InvalidModel(f"layer {layer} of {self._record.name} has no attention heads")
        w_o, before = self.w_o(layer), path.norm_before
        if path.values_withheld is None:
            w_v = repeat_values(self._bridge.blocks[layer].attn.W_V.detach(), self._record.n_heads, dim=0)
        else:
            w_v = torch.full_like(w_o, torch.nan).transpose(1, 2)
        return HeadWeights(
            w_v=w_v.float(),
            w_o=w_o,
            input_norm_weight=w_o.new_ones(self._record.d_model) if before is None else before.weight,
            centre_input=before is not None and before.centre,
            norm_after=path.norm_after,
            multiplier=path.multiplier,
        )

    def value_shift(self, layer: int) -> Float[Tensor, "n_heads d_head"] | None:
        """What weight processing takes from every token's z, ln1.b·W_V + b_V; None where the weights do not tell.

        Folding moves both into b_O. The rest of it is in the norm's weight and W_V, which give the same values.
        """
        path = self.path.layers[layer]
        if path.norm_before is None or path.values_withheld is not None:
            return None  # without a norm, centred weights before it would be seen
        attention, n_heads = self._bridge.blocks[layer].attn, self._record.n_heads
        shift = torch.einsum("m,hmd->hd", path.norm_before.bias, attention.W_V.detach().float())
        bias = getattr(attention, "b_V", None)
        return repeat_values(shift if bias is None else shift + bias.detach().float(), n_heads, dim=0)

    def w_o(self, layer: int) -> Float[Tensor, "n_heads d_head d_model"]:
        """A layer's output projection, by head. Raises InvalidModel where it is not a sum over heads."""
        weight = weight_by_head(self._bridge.blocks[layer].attn, "W_O", self._record.n_heads)
        if weight is None:
            raise InvalidModel(f"layer {layer} of {self._record.name} has no output projection by head")
        return weight.float()

    def b_o(self, layer: int) -> Float[Tensor, " d_model"]:
        """The bias of a layer's output projection."""
        return self.or_zeros(getattr(self._bridge.blocks[layer].attn, "b_O", None), self._record.d_model)

    def unembed(self) -> UnembedWeights:
        """The final norm's weight and W_U times the logit scale. Raises InvalidModel where withheld."""
        norm, scale = self.final_norm(), self.path.hidden_multiplier * self.path.logit_multiplier
        w_u = self._bridge.W_U.detach().float()
        return UnembedWeights(
            w_u=w_u if scale == 1 else w_u * scale,
            final_norm_weight=norm.weight,
            centre_residual=norm.centre,
        )

    def b_u(self, d_vocab: int) -> Float[Tensor, " d_vocab"]:
        """The unembedding's bias times the logit scale."""
        return self.or_zeros(getattr(self._bridge, "b_U", None), d_vocab) * self.path.logit_multiplier

    def final_norm(self) -> FrozenNorm:
        """The norm before the unembedding. Raises InvalidModel where it is not known."""
        norm = self.path.final_norm
        if self.path.withheld is not None or norm is None:
            raise InvalidModel(f"nothing is said of the logits of {self._record.name}: {self.path.withheld}")
        return norm

    def embedding(self) -> Float[Tensor, "d_vocab d_model"]:
        """W_E; through the norm of the embedding at scale 1, where there is one."""
        w_e = self._bridge.W_E.detach()
        module = getattr(self._bridge, "embed_ln", None)
        norm = None if module is None else describe_norm(module, self._record.d_model, w_e.dtype, w_e.device)
        return w_e.float() if norm is None else norm.linear(w_e.float())

    def in_float32(self) -> AbstractContextManager[None]:
        """Let the bridge compute in float32 meanwhile, with the weights that it has."""
        return float32_weights(self._bridge)

    def or_zeros(self, value: Tensor | None, size: int) -> Float[Tensor, " size"]:
        """A bias, or zeros where there is none."""
        zeros = torch.zeros(size, device=self._bridge.W_E.device)
        return zeros if value is None else value.detach().float()


class ModelWithPath:
    """The part of a model that speaks of weights."""

    record: ModelRecord
    weights: PathWeights
    attention_layers: tuple[int, ...]

    @property
    def path(self) -> ModelPath:
        """The way from heads to logits, as the model itself has it."""
        return self.weights.path

    def logits_withheld(self, layer: int) -> str | None:
        """Why nothing is said of what a layer's heads do to logits; None where their path is known."""
        return self.path.reason(layer)

    def values_withheld(self, layer: int) -> str | None:
        """Why nothing is said of what a layer's heads read; None where it is known."""
        path = self.path.layers[layer]
        return path.values_withheld if path.has_attention else f"layer {layer} has no attention heads"

    def processing_moves_z(self, layer: int) -> bool:
        """Whether z of a layer may be another under another weight processing, as the weights tell."""
        shift = self.weights.value_shift(layer) if self.path.layers[layer].has_attention else None
        return shift is None or bool(shift.any())

    def head_weights(self, layer: int) -> HeadWeights:
        """W_V and W_O of one layer, and the norms about them; grouped-query values are repeated for each head."""
        self._check_layers([layer])
        return self.weights.heads(layer)

    def unembed_weights(self) -> UnembedWeights:
        """The final norm's weight and W_U times the logit scale, in float32. Raises InvalidModel where withheld."""
        return self.weights.unembed()

    def embedding(self) -> Float[Tensor, "d_vocab d_model"]:
        """W_E in float32; through the norm of the embedding at scale 1, where there is one."""
        return self.weights.embedding()

    def _check_layers(self, layers: Sequence[int]) -> None:
        if not layers:
            raise ValueError("no layers were asked for")
        record = self.record
        wrong = [layer for layer in layers if not 0 <= layer < record.n_layers]
        if wrong:
            raise InvalidModel(f"{record.name} has layers 0 to {record.n_layers - 1}, not {wrong[0]}")
        headless = [layer for layer in layers if layer not in self.attention_layers]
        if headless:
            raise InvalidModel(
                f"layer {headless[0]} of {record.name} has no attention heads; those with heads are "
                f"{', '.join(map(str, self.attention_layers))}"
            )


def repeat_values(v: Tensor, n_heads: int, dim: int) -> Tensor:
    """Values of a grouped-query model, one for each head along a dimension."""
    repeats = n_heads // v.shape[dim]
    return v if repeats == 1 else v.repeat_interleave(repeats, dim=dim)


def value_limit(attention: Any) -> float | None:
    """The size that queries, keys and values are clipped to (clip_qkv), where a model has one."""
    module = getattr(attention, "original_component", None)
    config = getattr(module, "config", None)
    holders = (module, config, getattr(config, "attn_config", None))
    return next((limit for each in holders if (limit := getattr(each, "clip_qkv", None))), None)


def value_width(bridge: Any, layer: int) -> int:
    """d_head of values, which in latent attention is another than that of keys."""
    weight = weight_by_head(bridge.blocks[layer].attn, "W_O", bridge.cfg.n_heads)
    return int(bridge.cfg.d_head if weight is None else weight.shape[1])
