"""How many positions a model can read, by its own configuration."""

from typing import Any

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
