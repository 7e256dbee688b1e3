"""What a model can read: so many positions, by its own configuration, of the tokens that it has."""

from typing import Any

from jaxtyping import Int
from torch import Tensor

from app.errors import InvalidModel

_NAMES = (  # what configurations call it
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_sequence_length",
    "seq_length",
    "context_length",
    "max_target_positions",
)


def context_limit(config: Any, default: int) -> int:
    """The least number that a configuration of transformers names as its limit; `default` where it names none."""
    values = [getattr(config.get_text_config(), name, None) for name in _NAMES]
    return min((value for value in values if isinstance(value, int) and value > 0), default=int(default))


def check_length(name: str, n_positions: int, limit: int) -> None:
    """Raise InvalidModel above the limit: the library ends in an error, or computes what no model was made for."""
    if n_positions > limit:
        raise InvalidModel(f"a sequence of {n_positions} tokens is more than {name} can read ({limit})")


def check_tokens(name: str, tokens: Int[Tensor, "batch pos"], limit: int, d_vocab: int) -> None:
    """Raise InvalidModel above the limit, and for a token that the tokenizer makes and the model does not have."""
    check_length(name, tokens.shape[1], limit)
    if tokens.numel() and (highest := int(tokens.max())) >= d_vocab:
        raise InvalidModel(
            f"the text has token {highest} by the tokenizer of {name}, and the model has tokens 0 to {d_vocab - 1}"
        )
