"""Arrays of token ids, as they were saved by numpy, as a data set of a corpus."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.adapters.corpus_parts import Piece
from app.adapters.token_padding import filled_lengths
from app.domain.documents import DocumentStart
from app.errors import InvalidCorpus

MIN_CONTEXT = 4


@dataclass(frozen=True)
class ArrayPart:
    """A .npy of integers [n_sequences, context_size], BOS included, taken as it is. Padding is not counted."""

    path: Path
    bos_token_id: int
    d_vocab: int
    max_sequences: int | None
    pad_token_id: int | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def context_size(self) -> int:
        """Tokens in each of its rows. Raises InvalidCorpus where it is no array of tokens."""
        return self._tokens().shape[1]

    def pieces(self, context_size: int, index: int) -> Iterator[Piece]:
        """Its rows, each a document of its own. Raises InvalidCorpus for ids that the model does not have."""
        tokens, path = self._tokens(), self.path
        if tokens.shape[1] != context_size:
            raise InvalidCorpus(f"{path} has sequences of {tokens.shape[1]} tokens, others of {context_size}")
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= self.d_vocab:
            raise InvalidCorpus(
                f"{path} holds token ids {low} to {high}; the model's are 0 to {self.d_vocab - 1}"
            )
        if not (tokens[:, 0] == self.bos_token_id).all():
            raise InvalidCorpus(
                f"{path}: every sequence must begin with the model's BOS token, {self.bos_token_id}"
            )
        lengths = filled_lengths(tokens, path, self.bos_token_id, self.pad_token_id)
        for number, (row, length) in enumerate(zip(tokens, lengths.tolist(), strict=True), start=1):
            yield Piece(row, length, (DocumentStart(1, index, number),))

    def _tokens(self) -> NDArray[Any]:
        path = self.path
        try:
            tokens: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise InvalidCorpus(f"{path} is not a readable .npy array: {error}") from error
        if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
            raise InvalidCorpus(
                f"{path} holds {tokens.dtype} of shape {tokens.shape}, not integers [n_sequences, context_size]"
            )
        tokens = tokens[: self.max_sequences]
        if tokens.size == 0 or tokens.shape[1] < MIN_CONTEXT:
            raise InvalidCorpus(f"{path} of shape {tokens.shape} has 0 usable tokens")
        return tokens
