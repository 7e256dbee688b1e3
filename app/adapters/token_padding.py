"""Padding at the end of rows of token ids: known by its id, and never guessed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidCorpus

NO_PADDING = -1  # as --pad-token: the array holds none
_RUN = 4  # equal ids at the end of a row, in two rows or more, say padding
_LONG_RUN = 16  # or this many in one


def filled_lengths(
    tokens: NDArray[Any], path: Path, bos_token_id: int, pad_token_id: int | None
) -> NDArray[np.int32]:
    """How many positions of each row hold text, BOS included. pad_token_id: None where nothing names it.

    Raises InvalidCorpus where rows look padded by an id that nothing names, or are padded at the front.
    """
    n_rows, size = tokens.shape
    if n_rows and size > 1:
        padded_in_front = (tokens[:, 1] == bos_token_id) & (tokens != bos_token_id).any(axis=1)
        if padded_in_front.any():
            row = int(padded_in_front.argmax())
            raise InvalidCorpus(f"{path}: sequence {row} begins with BOS twice, as if padded at the front")
    last, n_equal = tokens[:, -1], _run_at_the_end(tokens)
    lengths = np.full(n_rows, size, np.int32)
    if pad_token_id is not None:
        padded = last == pad_token_id
        lengths[padded] -= n_equal[padded]
        return lengths
    ids, counts = np.unique(last[n_equal >= _RUN], return_counts=True)
    suspects = [
        i for i in (*ids[counts > 1], *last[n_equal >= _LONG_RUN]) if i != bos_token_id
    ]  # BOS never counts
    if suspects:
        row = int((last == suspects[0]).argmax())
        raise InvalidCorpus(
            f"{path}: sequence {row} ends in {int(n_equal[row])} tokens {int(suspects[0])}, which looks like padding; "
            f"say --pad-token {int(suspects[0])}, or --pad-token {NO_PADDING} if it is text"
        )
    return lengths


def _run_at_the_end(tokens: NDArray[Any]) -> NDArray[np.int64]:
    """How many equal ids each row ends in."""
    differs = np.asarray(tokens[:, ::-1] != tokens[:, -1:])
    return np.where(differs.any(axis=1), differs.argmax(axis=1), tokens.shape[1])
