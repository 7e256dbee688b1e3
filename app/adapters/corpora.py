"""A corpus: token sequences of one length on disk, BOS first, tokenised once.

Documents are joined by the tokenizer's end-of-text token and cut to context_size - 1 tokens, and BOS is put
before each piece (the convention of tokenize_and_concatenate). The last piece of a data set is padded; `lengths` says
how far each sequence holds text. BOS and padding are never counted. `documents.jsonl` says whose text it is.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.adapters.corpus_parts import CorpusPart, Piece, TextPart
from app.adapters.sealed_folders import seal_folder, whole_folder
from app.adapters.text_sources import TextSource
from app.adapters.token_arrays import MIN_CONTEXT, ArrayPart
from app.domain.documents import DocumentStart
from app.domain.records import Json
from app.errors import InvalidCorpus
from app.paths import naming, remove

_MANIFEST, _DOCUMENTS = "corpus.json", "documents.jsonl"
_NAMED = 3  # data sets, before the rest are counted
_BLOCK = 4096  # sequences copied at a time


@dataclass(frozen=True)
class Corpus:
    """Token ids [n_sequences, context_size] as a read-only memmap, and the filled length of each sequence."""

    names: tuple[str, ...]  # of its data sets
    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    bos_token_id: int
    checksum: str  # of tokens, lengths, BOS and documents: equal where all that is stored of it is
    documents_file: Path | None = None

    @property
    def name(self) -> str:
        """The names of its data sets, of many the first and how many more."""
        listed, n_more = self.names[:_NAMED], len(self.names) - _NAMED
        return ", ".join(listed) if n_more <= 0 else f"{', '.join(listed)} and {n_more} more"

    @property
    def n_sequences(self) -> int:
        """The number of sequences."""
        return int(self.tokens.shape[0])

    @property
    def context_size(self) -> int:
        """The number of positions in a sequence, BOS included."""
        return int(self.tokens.shape[1])

    def counted(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which positions of sequences start:stop are counted: text, and not BOS."""
        tokens = self.tokens[start:stop]
        filled = np.arange(self.context_size) < self.lengths[start:stop, None]
        mask = filled & (tokens != self.bos_token_id)
        mask[:, 0] = False
        return mask

    def documents(self) -> Iterator[tuple[DocumentStart, ...]]:
        """The documents in each sequence, one sequence after the other; nothing where they are not known."""
        if self.documents_file is None:
            return
        with self.documents_file.open(encoding="utf-8") as lines:
            for line in lines:
                stored: list[Json] = json.loads(line)
                yield tuple(DocumentStart.from_json(values) for values in stored)


def open_corpus(folder: Path) -> Corpus | None:
    """The corpus that was tokenised into the folder; None when there is none, or it is incomplete or damaged."""
    facts = whole_folder(folder, _MANIFEST)
    if facts is None or "names" not in facts:  # of an earlier version, which kept no documents
        return None
    tokens = np.load(folder / "tokens.npy", mmap_mode="r")
    lengths = np.load(folder / "lengths.npy")
    content = json.dumps([facts["files"], facts["bos_token_id"]], sort_keys=True)
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return Corpus(
        tuple(facts["names"]), tokens, lengths, facts["bos_token_id"], checksum, folder / _DOCUMENTS
    )


def tokenise(
    source: TextSource, tokenizer: Any, folder: Path, context_size: int, max_sequences: int | None = None
) -> Corpus:
    """Tokenise a source into the folder, or open what is there. Raises InvalidCorpus when nothing is usable."""
    part = TextPart(source, tokenizer)
    return make_corpus([part], tokenizer.bos_token_id, folder, context_size, max_sequences)


def load_pretokenised(
    path: Path,
    folder: Path,
    bos_token_id: int,
    d_vocab: int,
    max_sequences: int | None,
    pad_token_id: int | None = None,
) -> Corpus:
    """An array of tokens as a corpus in the folder, or what is there. Raises InvalidCorpus for any other file."""
    if (ready := open_corpus(folder)) is not None:
        return ready
    part = ArrayPart(path, bos_token_id, d_vocab, max_sequences, pad_token_id)
    return make_corpus([part], bos_token_id, folder, part.context_size, max_sequences)


def make_corpus(
    parts: Sequence[CorpusPart],
    bos_token_id: int,
    folder: Path,
    context_size: int,
    max_sequences: int | None = None,
) -> Corpus:
    """Make a corpus of one data set or several in the folder, or open what is there.

    Of several, a sequence of each is taken in turn, until there are enough or all have ended, so that however few are
    read they are of all data sets. Raises InvalidCorpus for a data set without text.
    """
    if (ready := open_corpus(folder)) is not None:
        return ready
    if context_size < MIN_CONTEXT:
        raise InvalidCorpus(f"a context of {context_size} is too short; the least is {MIN_CONTEXT}")
    pieces = islice(_in_turn(parts, context_size), max_sequences)
    first = next(pieces)  # what cannot be read at all leaves the folder as it is
    _empty(folder)
    lengths = _write(chain([first], pieces), folder)
    raw = folder / "tokens.raw"
    flat = np.memmap(raw, dtype=np.int32, mode="r").reshape(len(lengths), context_size)
    _save(folder, flat, np.array(lengths, np.int32))
    raw.unlink()
    seal_folder(folder, _MANIFEST, {"names": [part.name for part in parts], "bos_token_id": bos_token_id})
    return _must_open(folder)


def _in_turn(parts: Sequence[CorpusPart], context_size: int) -> Iterator[Piece]:
    """A piece of each part in turn, without those that have ended. Raises InvalidCorpus for one without any."""
    streams = [part.pieces(context_size, index) for index, part in enumerate(parts)]
    going = dict(zip(streams, parts, strict=True))
    is_first = True
    while going:
        for stream, part in list(going.items()):
            piece = next(stream, None)
            if piece is not None:
                yield piece
            elif is_first:
                raise InvalidCorpus(f"the corpus {part.name} has 0 usable tokens")
            else:
                del going[stream]
        is_first = False


def _write(pieces: Iterable[Piece], folder: Path) -> list[int]:
    """Write token ids and documents as they come, and return the filled lengths."""
    raw, documents = folder / "tokens.raw", folder / _DOCUMENTS
    lengths: list[int] = []
    with (
        naming(raw),
        raw.open("wb") as file,
        naming(documents),
        documents.open("w", encoding="utf-8") as lines,
    ):
        for piece in pieces:
            file.write(piece.tokens.astype(np.int32).tobytes())
            lines.write(
                f"{json.dumps([start.as_json() for start in piece.documents], separators=(',', ':'))}\n"
            )
            lengths.append(piece.length)
    return lengths


def _empty(folder: Path) -> None:
    """Make the folder anew, whatever an interrupted job or a damaged disk left there."""
    remove(folder)
    folder.mkdir(parents=True)


def _save(folder: Path, tokens: NDArray[Any], lengths: NDArray[np.int32]) -> None:
    """Write an array in blocks, not through a memory map: there a full disk would end the process without a word."""
    path = folder / "tokens.npy"
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.int32)),
        "fortran_order": False,
        "shape": tokens.shape,
    }
    with naming(path), path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(tokens), _BLOCK):
            file.write(np.ascontiguousarray(tokens[start : start + _BLOCK], np.int32).data)
    with naming(folder / "lengths.npy"):
        np.save(folder / "lengths.npy", lengths)


def _must_open(folder: Path) -> Corpus:
    corpus = open_corpus(folder)
    if corpus is None:
        raise InvalidCorpus(f"the corpus in {folder} was not written")
    return corpus
