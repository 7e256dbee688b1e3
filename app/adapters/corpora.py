"""A corpus: token sequences of one length on disk, BOS first, tokenised once.

Documents are joined by the tokenizer's end-of-text token and cut to context_size - 1 tokens, and BOS is put
before each piece (the convention of tokenize_and_concatenate). The last piece is padded; `lengths` says how far
each sequence holds text. BOS and padding are never counted.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.adapters.sealed_folders import seal_folder, whole_folder
from app.adapters.text_sources import TextSource
from app.adapters.token_padding import filled_lengths
from app.errors import InvalidCorpus
from app.paths import naming, remove

MIN_CONTEXT = 4
PART_CHARACTERS = 2**20  # of a long document, tokenised at a time
_MANIFEST = "corpus.json"
_BLOCK = 4096  # sequences copied at a time


@dataclass(frozen=True)
class Corpus:
    """Token ids [n_sequences, context_size] as a read-only memmap, and the filled length of each sequence."""

    name: str
    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    bos_token_id: int
    checksum: str  # of tokens, lengths and BOS: equal where all that is counted is

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


def open_corpus(folder: Path) -> Corpus | None:
    """The corpus that was tokenised into the folder; None when there is none, or it is incomplete or damaged."""
    facts = whole_folder(folder, _MANIFEST)
    if facts is None:
        return None
    tokens = np.load(folder / "tokens.npy", mmap_mode="r")
    lengths = np.load(folder / "lengths.npy")
    content = json.dumps([facts["files"], facts["bos_token_id"]], sort_keys=True)
    checksum = hashlib.sha256(content.encode()).hexdigest()
    return Corpus(facts["name"], tokens, lengths, facts["bos_token_id"], checksum)


def tokenise(
    source: TextSource,
    tokenizer: Any,
    folder: Path,
    context_size: int,
    max_sequences: int | None = None,
) -> Corpus:
    """Tokenise a source into the folder, or open what is there. Raises InvalidCorpus when nothing is usable."""
    if (ready := open_corpus(folder)) is not None:
        return ready
    if context_size < MIN_CONTEXT:
        raise InvalidCorpus(f"a context of {context_size} is too short; the least is {MIN_CONTEXT}")
    _empty(folder)
    raw = folder / "tokens.raw"
    lengths: list[int] = []
    with naming(raw), raw.open("wb") as file:
        for piece in _pieces(source, tokenizer, context_size - 1):
            if max_sequences is not None and len(lengths) >= max_sequences:
                break
            row = np.full(context_size, tokenizer.bos_token_id, np.int32)
            row[1 : 1 + len(piece)] = piece
            file.write(row.tobytes())
            lengths.append(1 + len(piece))
    if not lengths:
        raw.unlink()
        raise InvalidCorpus(f"the corpus {source.name} has 0 usable tokens")
    flat = np.memmap(raw, dtype=np.int32, mode="r").reshape(len(lengths), context_size)
    _save(folder, flat, np.array(lengths, np.int32))
    raw.unlink()
    seal_folder(folder, _MANIFEST, {"name": source.name, "bos_token_id": tokenizer.bos_token_id})
    return _must_open(folder)


def load_pretokenised(
    path: Path,
    folder: Path,
    bos_token_id: int,
    d_vocab: int,
    max_sequences: int | None,
    pad_token_id: int | None = None,
) -> Corpus:
    """A .npy of integers [n_sequences, context_size], BOS included, taken as it is. Padding is not counted."""
    if (ready := open_corpus(folder)) is not None:
        return ready
    try:
        tokens: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidCorpus(f"{path} is not a readable .npy array: {error}") from error
    if tokens.ndim != 2 or not np.issubdtype(tokens.dtype, np.integer):
        raise InvalidCorpus(
            f"{path} holds {tokens.dtype} of shape {tokens.shape}, not integers [n_sequences, context_size]"
        )
    tokens = tokens[:max_sequences]
    if tokens.size == 0 or tokens.shape[1] < MIN_CONTEXT:
        raise InvalidCorpus(f"{path} of shape {tokens.shape} has 0 usable tokens")
    low, high = int(tokens.min()), int(tokens.max())
    if low < 0 or high >= d_vocab:
        raise InvalidCorpus(f"{path} holds token ids {low} to {high}; the model's are 0 to {d_vocab - 1}")
    if not (tokens[:, 0] == bos_token_id).all():
        raise InvalidCorpus(f"{path}: every sequence must begin with the model's BOS token, {bos_token_id}")
    lengths = filled_lengths(tokens, path, bos_token_id, pad_token_id)
    _empty(folder)
    _save(folder, tokens, lengths)
    seal_folder(folder, _MANIFEST, {"name": path.name, "bos_token_id": bos_token_id})
    return _must_open(folder)


def _pieces(source: TextSource, tokenizer: Any, size: int) -> Iterator[NDArray[np.int32]]:
    """Consecutive pieces of `size` tokens of the joined documents; the last may be shorter."""
    pending = np.zeros(0, np.int32)
    first = True
    for document in source.documents():
        if not document.strip():
            continue
        ids = [token_id for part in _parts(document) for token_id in tokenizer.encode(part)]
        joined = ids if first else [tokenizer.separator_token_id, *ids]
        first = False
        pending = np.concatenate([pending, np.asarray(joined, np.int32)])
        whole = len(pending) // size * size
        yield from pending[:whole].reshape(-1, size)
        pending = pending[whole:]
    if len(pending):
        yield pending


def _parts(document: str) -> Iterator[str]:
    """A document in parts that a tokenizer can hold, cut before a white space where there is one."""
    while len(document) > PART_CHARACTERS:
        at = max(document.rfind(space, 1, PART_CHARACTERS) for space in " \n")
        at = PART_CHARACTERS if at < 0 else at
        yield document[:at]
        document = document[at:]
    yield document


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
