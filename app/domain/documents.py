"""Which documents the sequences of a corpus are made of. No I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from app.domain.records import Json

_SUFFIXES = re.compile(
    r"(\.(txt|md|rst|pod|html?|jsonl?|parquet|arrow|npy|gz|bz2|xz|lzma|zstd?))+$", re.IGNORECASE
)


@dataclass(frozen=True)
class DocumentStart:
    """Where the text of a document begins, or goes on, in one sequence.

    position: of its first token there, BOS being 0. dataset: which of the run's data sets it is of. number: its place
    in that, from 1. name: of its file or topic, where the data set names its documents.
    """

    position: int
    dataset: int
    number: int
    name: str | None = None

    def as_json(self) -> list[Json]:
        """The start as it is kept in corpora and stores."""
        values: list[Json] = [self.position, self.dataset, self.number]
        return values if self.name is None else [*values, self.name]

    @classmethod
    def from_json(cls, values: Json) -> "DocumentStart":
        """The start of as_json. Raises ValueError for anything else."""
        match values:
            case [int(position), int(dataset), int(number)]:
                return cls(position, dataset, number)
            case [int(position), int(dataset), int(number), str(name)]:
                return cls(position, dataset, number, name)
            case _:
                raise ValueError(f"{values!r} does not say where a document starts")


@dataclass(frozen=True)
class Document:
    """A document of a corpus."""

    dataset: Annotated[str, "The data set, by its name"]
    number: Annotated[int, "Its place in the data set, from 1"]
    name: Annotated[str | None, "Its file or topic, where the data set names its documents"] = None

    @property
    def source(self) -> str:
        """The data set without owner and suffix."""
        return _SUFFIXES.sub("", self.dataset.rpartition("/")[2])

    @property
    def place(self) -> str:
        """The name in the data set, or the number."""
        return self.name or str(self.number)

    @property
    def label(self) -> str:
        """The document in a few words: data set and place."""
        return f"{self.source} {self.place}"


@dataclass(frozen=True, eq=False)
class CorpusText:
    """One sequence of a stored corpus: its token ids, and the documents that they are of.

    starts: of the documents, in order; none in runs from before they were kept. datasets: names of the run's data sets.
    """

    tokens: NDArray[np.int32]
    starts: Sequence[DocumentStart] = ()
    datasets: Sequence[str] = ()

    def document_at(self, position: int) -> Document | None:
        """The document that the token at a position is of; None where that is not kept."""
        for start in reversed(self.starts):
            if start.position <= position:
                return Document(self.datasets[start.dataset], start.number, start.name)
        return None
