"""What a corpus is made of: the sequences of its data sets, each with the documents that are in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.adapters.text_sources import NamedDocuments, TextSource
from app.domain.documents import DocumentStart

PART_CHARACTERS = 2**20  # of a long document, tokenised at a time


@dataclass(frozen=True, eq=False)
class Piece:
    """One sequence: token ids [context_size], BOS first, how many of them hold text, and whose text that is."""

    tokens: NDArray[np.integer]
    length: int
    documents: tuple[DocumentStart, ...]


@runtime_checkable
class CorpusPart(Protocol):
    """One data set of a corpus."""

    @property
    def name(self) -> str: ...

    def pieces(self, context_size: int, index: int) -> Iterator[Piece]:
        """Its sequences in order. index: which data set of the corpus it is."""
        ...


@dataclass(frozen=True, eq=False)
class TextPart:
    """The documents of a source, joined by the tokenizer's separator and cut."""

    source: TextSource
    tokenizer: Any

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    def pieces(self, context_size: int, index: int) -> Iterator[Piece]:
        """Consecutive pieces of the joined documents; only the last may have room left."""
        tokens, numbers = np.zeros(0, np.int32), np.zeros(0, np.int32)
        names: dict[int, str | None] = {}
        before: int | None = None
        cut = _Cut(context_size, self.tokenizer.bos_token_id, index)
        size = context_size - 1
        for number, name, ids in self._documents():
            joined = ids if before is None else [self.tokenizer.separator_token_id, *ids]
            owners = np.full(len(joined), number, np.int32)
            if before is not None:
                owners[0] = before  # the separator ends the document before it
            before, names[number] = number, name
            tokens = np.concatenate([tokens, np.asarray(joined, np.int32)])
            numbers = np.concatenate([numbers, owners])
            whole = len(tokens) // size * size
            for start in range(0, whole, size):
                part = slice(start, start + size)
                yield _piece(tokens[part], numbers[part], names, cut)
            tokens, numbers = tokens[whole:], numbers[whole:]
            names = {kept: names[kept] for kept in {*numbers.tolist(), number}}
        if len(tokens):
            yield _piece(tokens, numbers, names, cut)

    def _documents(self) -> Iterator[tuple[int, str | None, list[int]]]:
        """Number, name and token ids of each document that is not blank."""
        names = self.source.document_names() if isinstance(self.source, NamedDocuments) else repeat(None)
        for number, (text, name) in enumerate(zip(self.source.documents(), names, strict=False), start=1):
            if text.strip():
                ids = [token_id for part in _parts(text) for token_id in self.tokenizer.encode(part)]
                yield number, name, ids


@dataclass(frozen=True)
class _Cut:
    """How text becomes a sequence."""

    context_size: int
    bos_token_id: int
    dataset: int


def _piece(
    tokens: NDArray[np.int32], numbers: NDArray[np.int32], names: Mapping[int, str | None], cut: _Cut
) -> Piece:
    """A sequence of these tokens. numbers: of the document that each is of."""
    row = np.full(cut.context_size, cut.bos_token_id, np.int32)
    row[1 : 1 + len(tokens)] = tokens
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist()]
    documents = tuple(
        DocumentStart(1 + start, cut.dataset, int(numbers[start]), names[int(numbers[start])])
        for start in starts
    )
    return Piece(row, 1 + len(tokens), documents)


def _parts(document: str) -> Iterator[str]:
    """A document in parts that a tokenizer can hold, cut before a white space where there is one."""
    while len(document) > PART_CHARACTERS:
        at = max(document.rfind(space, 1, PART_CHARACTERS) for space in " \n")
        at = PART_CHARACTERS if at < 0 else at
        yield document[:at]
        document = document[at:]
    yield document
