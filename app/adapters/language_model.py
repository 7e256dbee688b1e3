"""What the rest of Head Atlas may ask of a language model, and of its tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from app.domain.records import ModelRecord, Processing
from app.domain.tokens import Vocabulary

ReadPattern = Callable[[int, Tensor], None]  # layer, pattern [batch n_heads dest src]


@dataclass(frozen=True)
class LayerActivations:
    """One attention layer on a batch. Grouped-query values are repeated, so v has n_heads heads."""

    z: Float[Tensor, "batch dest n_heads d_head"]
    v: Float[Tensor, "batch src n_heads d_head"]
    pattern: Float[Tensor, "batch n_heads dest src"]


@dataclass(frozen=True)
class UnembedWeights:
    """What turns a residual direction into logits: final norm's weight and kind, then W_U."""

    w_u: Float[Tensor, "d_model d_vocab"]
    final_norm_weight: Float[Tensor, " d_model"]  # ones where it is folded into w_u
    centre_residual: bool  # LayerNorm subtracts the mean over d_model, RMSNorm does not


@dataclass(frozen=True)
class HeadWeights:
    """The OV side of one layer's heads. Grouped-query values are repeated."""

    w_v: Float[Tensor, "n_heads d_model d_head"]
    w_o: Float[Tensor, "n_heads d_head d_model"]
    input_norm_weight: Float[Tensor, " d_model"]  # ones where it is folded into w_v


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

    @property
    def context_limit(self) -> int:
        """The most positions the model can read, BOS included."""
        ...

    def activations(
        self, tokens: Int[Tensor, "batch pos"], layers: Sequence[int]
    ) -> dict[int, LayerActivations]:
        """z, v and pattern of the given layers, computed only as deep as the last of them."""
        ...

    def read_patterns(
        self, tokens: Int[Tensor, "batch pos"], read: ReadPattern, layers: Sequence[int] = ()
    ) -> dict[int, LayerActivations]:
        """Every layer's pattern goes to `read` as it is made. Returns the activations of `layers`."""
        ...

    def patterns(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> dict[int, Float[Tensor, "batch n_heads dest src"]]:
        """The attention pattern of every layer."""
        ...

    def head_weights(self, layer: int) -> HeadWeights: ...

    def unembed_weights(self) -> UnembedWeights: ...

    def embedding(self) -> Float[Tensor, "d_vocab d_model"]: ...
