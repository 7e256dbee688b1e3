"""Language models that can be intervened on: replaced head outputs, and the residual stream in its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from app.adapters.context_limit import check_tokens
from app.adapters.forward_pass import forward_pass
from app.adapters.language_model import LanguageModel
from app.adapters.stream_reader import StreamReader
from app.adapters.transformer_lens_model import TransformerLensModel
from app.domain.refs import HeadRef
from app.errors import InvalidModel


@dataclass(frozen=True, eq=False)
class ZEdit:
    """Replaces z of one head: by values, or by zero; at the marked positions, or at all of them."""

    head: HeadRef
    values: Float[Tensor, "edit_batch edit_pos d_head"] | None = None  # both axes may be 1
    positions: Bool[Tensor, "batch pos"] | None = None


@dataclass(frozen=True, eq=False)
class ResidualDecomposition:
    """The residual stream before the final norm at n chosen tokens, as the sum of all that wrote to it.

    embedding + heads (over layers and heads) + attention_bias + mlp (over layers) = what the final norm read, all
    as they are added to the stream: through a norm after attention, its scale frozen, and times a multiplier.
    logits are the model's own at the same tokens, before the soft cap where it has one.
    """

    embedding: Float[Tensor, "n d_model"]
    heads: Float[Tensor, "n layer n_heads d_model"]
    attention_bias: Float[Tensor, "n layer d_model"]
    mlp: Float[Tensor, "n layer d_model"]  # of all in a block that is not attention
    logits: Float[Tensor, "n d_vocab"]

    @property
    def total(self) -> Float[Tensor, "n d_model"]:
        """The sum of all parts."""
        parts = self.heads.sum(dim=(1, 2)) + self.mlp.sum(dim=1) + self.attention_bias.sum(dim=1)
        return self.embedding + parts


@dataclass(frozen=True, eq=False)
class ReadOut:
    """Everything between the residual stream and the logits before the soft cap."""

    w_u: Float[Tensor, "d_model d_vocab"]  # times the model's logit scale
    b_u: Float[Tensor, " d_vocab"]  # likewise
    norm_weight: Float[Tensor, " d_model"]
    norm_bias: Float[Tensor, " d_model"]
    eps: float
    centre_residual: bool  # LayerNorm subtracts the mean over d_model, RMSNorm does not
    soft_cap: float | None = None  # c: the model's logits are c * tanh(x / c)


class ExperimentModel(LanguageModel, Protocol):
    """A language model that experiments can take apart. Every call is without gradients."""

    @property
    def context_limit(self) -> int: ...

    def logits(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]: ...

    def run_with_z(
        self, tokens: Int[Tensor, "batch pos"], edits: Sequence[ZEdit]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits with the z of some heads replaced. Edits of one head apply in order."""
        ...

    def residual_before(
        self, tokens: Int[Tensor, "batch pos"], layer: int
    ) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream that a layer reads, before its norm."""
        ...

    def residual_decomposition(
        self, tokens: Int[Tensor, "batch pos"], position: Int[Tensor, " batch"]
    ) -> ResidualDecomposition:
        """The parts of the final residual stream, at one position of each sequence."""
        ...

    def read_out(self) -> ReadOut: ...


class InterventionModel(TransformerLensModel):
    """A TransformerBridge as an ExperimentModel."""

    @classmethod
    def of(cls, model: TransformerLensModel) -> "InterventionModel":
        """A model with the same loaded weights that can be intervened on."""
        return cls(model._bridge, model.record.name, model.record.revision, model.processing)

    def logits(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """The model's logits, in float32."""
        return self.run_with_z(tokens, [])

    def run_with_z(
        self, tokens: Int[Tensor, "batch pos"], edits: Sequence[ZEdit]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits with the z of some heads replaced. Raises InvalidModel for a head the model lacks."""
        by_layer: dict[int, list[ZEdit]] = {}
        for edit in edits:
            self._check_layers([edit.head.layer])
            if not 0 <= edit.head.head < self.record.n_heads:
                raise InvalidModel(
                    f"{self.record.name} has heads 0 to {self.record.n_heads - 1}, not {edit.head}"
                )
            by_layer.setdefault(edit.head.layer, []).append(edit)
        return self._run_hooked(
            tokens,
            [(f"blocks.{layer}.attn.hook_z", self._replacer(part)) for layer, part in by_layer.items()],
        )

    def residual_before(
        self, tokens: Int[Tensor, "batch pos"], layer: int
    ) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream that a layer reads, before its norm, in float32."""
        if layer not in range(self.record.n_layers):
            self._check_layers([layer])
        name = f"blocks.{layer}.hook_resid_pre"
        return self._run(tokens, [name], last_layer=layer)[name].float()

    def residual_decomposition(
        self, tokens: Int[Tensor, "batch pos"], position: Int[Tensor, " batch"]
    ) -> ResidualDecomposition:
        """The parts of the final residual stream at one position of each sequence, in float32.

        Raises InvalidModel where the model's residual stream is not known to be the sum of its parts.
        """
        if (reason := self.path.reason()) is not None:
            raise InvalidModel(f"the logits of {self.record.name} cannot be taken apart: {reason}")
        at = position.to(self.device)
        with StreamReader(self._bridge, self.path, at) as read:
            logits = self._run_hooked(tokens, [])[torch.arange(len(tokens), device=self.device), at]
        parts = [self._attention_parts(read, layer) for layer in range(self.record.n_layers)]
        if self.path.soft_cap is not None:
            logits = read.unembedded * self.path.logit_multiplier
        return ResidualDecomposition(
            embedding=read.block_input(0),
            heads=torch.stack([heads for heads, _ in parts], dim=1),
            attention_bias=torch.stack([bias for _, bias in parts], dim=1),
            mlp=torch.stack([read.others(layer) for layer in range(self.record.n_layers)], dim=1),
            logits=logits,
        )

    def _attention_parts(
        self, read: StreamReader, layer: int
    ) -> tuple[Float[Tensor, "n n_heads d_model"], Float[Tensor, "n d_model"]]:
        """What each head of a layer adds to the stream, and what its bias and the norm after it add."""
        path, record = self.path.layers[layer], self.record
        if not path.has_attention:
            nothing = torch.zeros_like(read.block_input(layer))
            return nothing[:, None].expand(-1, record.n_heads, -1), nothing
        z, output = read.projection(layer)
        by_head = z.reshape(len(z), record.n_heads, record.d_head)
        heads = torch.einsum("nhd,hdm->nhm", by_head, self.weights.w_o(layer))
        bias = self.weights.b_o(layer).expand_as(output)
        if (norm := path.norm_after) is not None:
            scale = norm.scale(output)
            heads, bias = norm.linear(heads) * scale[:, None], norm.linear(bias) * scale + norm.bias
        return heads * path.multiplier, bias * path.multiplier

    def read_out(self) -> ReadOut:
        """The final norm and the unembedding, in float32."""
        weights, norm = self.unembed_weights(), self.weights.final_norm()
        return ReadOut(
            w_u=weights.w_u,
            b_u=self.weights.b_u(weights.w_u.shape[1]),
            norm_weight=norm.weight,
            norm_bias=norm.bias,
            eps=norm.eps,
            centre_residual=norm.centre,
            soft_cap=self.path.soft_cap,
        )

    def _run_hooked(
        self, tokens: Int[Tensor, "batch pos"], hooks: list[tuple[str, Callable[..., Any]]]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        check_tokens(self.record.name, tokens, self.context_limit, self.record.d_vocab)
        with forward_pass():
            logits = self._bridge.run_with_hooks(
                tokens.to(self.device), fwd_hooks=hooks, return_type="logits"
            )
        return logits.float()

    def _replacer(self, edits: list[ZEdit]) -> Callable[..., Tensor]:
        def replace(z: Tensor, hook: Any) -> Tensor:  # noqa: ARG001
            by_head = z.reshape(*z.shape[:2], self.record.n_heads, self.record.d_head).clone()
            for edit in edits:
                old = by_head[:, :, edit.head.head]
                new = torch.zeros_like(old) if edit.values is None else edit.values.to(old).expand_as(old)
                if edit.positions is not None:
                    new = torch.where(edit.positions.to(old.device)[..., None], new, old)
                by_head[:, :, edit.head.head] = new
            return by_head.reshape(z.shape)

        return replace
