"""Language models that can be intervened on: replaced head outputs, and the residual stream in its parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from app.adapters.language_model import LanguageModel
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

    embedding + heads (over layers and heads) + attention_bias + mlp (over layers) = what the final norm read.
    logits are the model's own at the same tokens.
    """

    embedding: Float[Tensor, "n d_model"]
    heads: Float[Tensor, "n layer n_heads d_model"]
    attention_bias: Float[Tensor, "layer d_model"]
    mlp: Float[Tensor, "n layer d_model"]
    logits: Float[Tensor, "n d_vocab"]

    @property
    def total(self) -> Float[Tensor, "n d_model"]:
        """All parts together."""
        parts = self.heads.sum(dim=(1, 2)) + self.mlp.sum(dim=1) + self.attention_bias.sum(dim=0)
        return self.embedding + parts


@dataclass(frozen=True, eq=False)
class ReadOut:
    """Everything between the residual stream and the logits."""

    w_u: Float[Tensor, "d_model d_vocab"]
    b_u: Float[Tensor, " d_vocab"]
    norm_weight: Float[Tensor, " d_model"]
    norm_bias: Float[Tensor, " d_model"]
    eps: float
    centre_residual: bool  # LayerNorm subtracts the mean over d_model, RMSNorm does not


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
        """The same loaded weights, with interventions."""
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
        self._check_layers([layer])
        name = f"blocks.{layer}.hook_resid_pre"
        return self._run(tokens, [name], last_layer=layer)[name].float()

    def residual_decomposition(
        self, tokens: Int[Tensor, "batch pos"], position: Int[Tensor, " batch"]
    ) -> ResidualDecomposition:
        """The parts of the final residual stream at one position of each sequence, in float32."""
        found: dict[str, Tensor] = {}
        rows = torch.arange(len(tokens), device=self.device)
        at = position.to(self.device)

        def keeper(name: str) -> Callable[..., None]:  # a hook may answer to several names
            def keep(value: Tensor, hook: Any) -> None:  # noqa: ARG001
                found[name] = value[rows, at].float()

            return keep

        layers = range(self.record.n_layers)
        names = ["blocks.0.hook_resid_pre"]
        names += [f"blocks.{layer}.{hook}" for layer in layers for hook in ("attn.hook_z", "hook_mlp_out")]
        logits = self._run_hooked(tokens, [(name, keeper(name)) for name in names])[rows, at]
        missing = [name for name in names if name not in found]
        if missing:
            raise InvalidModel(
                f"{self.record.name} has no hook {missing[0]}, so its logits cannot be taken apart"
            )
        heads = [self._head_results(found[f"blocks.{layer}.attn.hook_z"], layer) for layer in layers]
        return ResidualDecomposition(
            embedding=found["blocks.0.hook_resid_pre"],
            heads=torch.stack(heads, dim=1),
            attention_bias=torch.stack([self._attention_bias(layer) for layer in layers]),
            mlp=torch.stack([found[f"blocks.{layer}.hook_mlp_out"] for layer in layers], dim=1),
            logits=logits,
        )

    def read_out(self) -> ReadOut:
        """The final norm and the unembedding, in float32."""
        weights = self.unembed_weights()
        cfg = self._bridge.cfg
        b_u = getattr(self._bridge, "b_U", None)
        norm_bias = getattr(self._bridge.ln_final, "bias", None)
        return ReadOut(
            w_u=weights.w_u,
            b_u=self._or_zeros(b_u, weights.w_u.shape[1]),
            norm_weight=weights.final_norm_weight,
            norm_bias=self._or_zeros(norm_bias, self.record.d_model),
            eps=float(cfg.eps),
            centre_residual=weights.centre_residual,
        )

    def _run_hooked(
        self, tokens: Int[Tensor, "batch pos"], hooks: list[tuple[str, Callable[..., Any]]]
    ) -> Float[Tensor, "batch pos d_vocab"]:
        with torch.inference_mode():
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

    def _head_results(self, z: Tensor, layer: int) -> Float[Tensor, "n n_heads d_model"]:
        by_head = z.reshape(len(z), self.record.n_heads, self.record.d_head)
        return torch.einsum("nhd,hdm->nhm", by_head, self._bridge.blocks[layer].attn.W_O.detach().float())

    def _attention_bias(self, layer: int) -> Float[Tensor, " d_model"]:
        return self._or_zeros(getattr(self._bridge.blocks[layer].attn, "b_O", None), self.record.d_model)

    def _or_zeros(self, value: Tensor | None, size: int) -> Float[Tensor, " size"]:
        return torch.zeros(size, device=self.device) if value is None else value.detach().float()
