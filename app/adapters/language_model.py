"""What the rest of Head Atlas may ask of a language model, and of its tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float64, Int
from torch import Tensor

from app.attribution.float64 import widened
from app.attribution.norms import FrozenNorm
from app.domain.records import ModelRecord, Processing
from app.domain.tokens import Vocabulary

ReadPattern = Callable[[int, Tensor], None]  # layer, pattern [batch n_heads dest src]


@dataclass(frozen=True)
class LayerActivations:
    """One attention layer on a batch. Grouped-query values are repeated, so v has n_heads heads."""

    z: Float[Tensor, "batch dest n_heads d_head"]
    v: Float[Tensor, "batch src n_heads d_head"]
    pattern: Float[Tensor, "batch n_heads dest src"]


ReadLayer = Callable[[int, LayerActivations], None]


@dataclass(frozen=True)
class UnembedWeights:
    """What turns a residual direction into logits, before a soft cap: final norm's weight and kind, then W_U."""

    w_u: Float[Tensor, "d_model d_vocab"]  # times the model's logit scale
    final_norm_weight: Float[Tensor, " d_model"]  # ones where it is folded into w_u
    centre_residual: bool  # LayerNorm subtracts the mean over d_model, RMSNorm does not

    @cached_property
    def mean(self) -> Float64[Tensor, " d_model"]:
        """The mean of w_u over the vocabulary."""
        return widened(self.w_u).mean(dim=1)


@dataclass(frozen=True)
class HeadWeights:
    """The OV side of one layer's heads. Grouped-query values are repeated."""

    w_v: Float[Tensor, "n_heads d_model d_head"]
    w_o: Float[Tensor, "n_heads d_head d_model"]
    input_norm_weight: Float[
        Tensor, " d_model"
    ]  # ones where it is folded into w_v, or where there is no norm
    centre_input: bool = False  # a LayerNorm before attention subtracts the mean over d_model
    norm_after: FrozenNorm | None = None  # between w_o and the residual stream
    multiplier: float = 1.0  # of what then is added to it

    @property
    def w_read(self) -> Float[Tensor, "n_heads d_model d_head"]:
        """From the residual stream to values, the norm before attention at scale 1."""
        weighted = self.w_v * self.input_norm_weight[:, None]
        return weighted - weighted.mean(dim=1, keepdim=True) if self.centre_input else weighted

    @property
    def w_write(self) -> Float[Tensor, "n_heads d_head d_model"]:
        """From a head to the residual stream, the norm after attention at scale 1."""
        written = self.w_o if self.norm_after is None else self.norm_after.linear(self.w_o)
        return written if self.multiplier == 1 else written * self.multiplier


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back to bytes. Never adds special tokens on its own."""

    bos_token_id: int
    separator_token_id: int
    special_token_ids: frozenset[int]

    def encode(self, text: str) -> list[int]: ...

    def token_bytes(self, token_id: int) -> bytes: ...

    def vocabulary(self, d_vocab: int) -> Vocabulary: ...


@runtime_checkable
class LanguageModel(Protocol):
    """A frozen language model. Tokens in, activations out; every call is without gradients."""

    record: ModelRecord
    processing: Processing
    tokenizer: Tokenizer
    attention_layers: tuple[int, ...]  # the layers with heads: all, but in hybrids

    @property
    def context_limit(self) -> int:
        """The most positions the model can read, BOS included."""
        ...

    def activations(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, LayerActivations]:
        """z, v and pattern of the given layers, computed only as deep as the last of them."""
        ...

    def read_patterns(self, tokens: Int[Tensor, "batch pos"], read: ReadPattern) -> None:
        """The pattern of every layer with heads goes to `read` as it is made."""
        ...

    def read_layers(
        self,
        tokens: Int[Tensor, "batch pos"],
        layers: Sequence[int],
        read: ReadLayer,
        read_pattern: ReadPattern | None = None,
    ) -> None:
        """Activations of `layers` go to `read` as each is made, and every layer's pattern to `read_pattern`.

        The pass goes as deep as the last layer that is read.
        """
        ...

    def patterns(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> dict[int, Float[Tensor, "batch n_heads dest src"]]:
        """The attention pattern of every layer."""
        ...

    def logits_withheld(self, layer: int) -> str | None:
        """Why nothing is said of what a layer's heads do to logits; None where their path is known."""
        ...

    def values_withheld(self, layer: int) -> str | None:
        """Why nothing is said of what a layer's heads read; None where it is known."""
        ...

    def processing_moves_z(self, layer: int) -> bool:
        """Whether z of a layer may be another under another weight processing, as the weights tell."""
        ...

    def head_weights(self, layer: int) -> HeadWeights: ...

    def unembed_weights(self) -> UnembedWeights: ...

    def embedding(self) -> Float[Tensor, "d_vocab d_model"]: ...
