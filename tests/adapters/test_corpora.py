"""Text to sequences of one length: what is kept, what is counted, and what is refused."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters import corpora
from app.adapters.corpora import Corpus, load_pretokenised, open_corpus, tokenise
from app.adapters.token_padding import NO_PADDING
from app.adapters.tokenizers import HuggingFaceTokenizer
from app.errors import InvalidCorpus
from tests.support.tiny_models import byte_level_tokenizer

BOS, SEPARATOR, CONTEXT = 0, 1, 8


class Letters:
    """One token a character, from 2 on."""

    bos_token_id = BOS
    separator_token_id = SEPARATOR

    def encode(self, text: str) -> list[int]:
        return [ord(character) - ord("a") + 2 for character in text]


@dataclass
class Texts:
    texts: list[str]
    name: str = "texts"
    n_read: int = 0

    def documents(self) -> Iterator[str]:
        for text in self.texts:
            self.n_read += 1
            yield text

    def identity(self) -> str:
        return "fixed"


def _tokenised(texts: list[str], folder: Path, **options: int) -> Corpus:
    return tokenise(Texts(texts), Letters(), folder, options.pop("context_size", CONTEXT), **options)


@pytest.mark.parametrize("length", [1, CONTEXT - 1, CONTEXT, CONTEXT + 1, 10 * CONTEXT])
def test_one_document_of_each_length(tmp_path: Path, length: int) -> None:
    text = "".join(chr(ord("a") + i % 26) for i in range(length))
    corpus = _tokenised([text], tmp_path)
    assert corpus.n_sequences == -(-length // (CONTEXT - 1))
    assert corpus.tokens.shape == (corpus.n_sequences, CONTEXT)
    assert (corpus.tokens[:, 0] == BOS).all()
    counted = corpus.counted(0, corpus.n_sequences)
    assert corpus.tokens[counted].tolist() == Letters().encode(text)
    assert (corpus.lengths[:-1] == CONTEXT).all()
    assert corpus.lengths.sum() == length + corpus.n_sequences


@pytest.mark.parametrize("texts", [[], [""], ["", " \n\t"]])
def test_nothing_to_read_is_refused(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(InvalidCorpus, match=r"^the corpus texts has 0 usable tokens$"):
        _tokenised(texts, tmp_path)
    assert open_corpus(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_documents_are_joined_by_the_separator(tmp_path: Path) -> None:
    corpus = _tokenised(["abc", "", "de"], tmp_path)
    assert corpus.tokens.tolist() == [[BOS, 2, 3, 4, SEPARATOR, 5, 6, BOS]]
    assert corpus.lengths.tolist() == [7]


@given(st.lists(st.text("abcde", min_size=1, max_size=30), min_size=1, max_size=8), st.integers(4, 12))
def test_every_token_is_counted_once_and_padding_never(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], context_size: int
) -> None:
    corpus = _tokenised(texts, tmp_path_factory.mktemp("corpus"), context_size=context_size)
    expected = [token for text in texts for token in [SEPARATOR, *Letters().encode(text)]][1:]
    counted = corpus.counted(0, corpus.n_sequences)
    assert corpus.tokens[counted].tolist() == expected
    halves = [corpus.counted(0, 1), corpus.counted(1, corpus.n_sequences)]
    assert np.array_equal(np.concatenate(halves), counted)


def test_bos_inside_text_is_not_counted(tmp_path: Path) -> None:
    class OneSpecial(Letters):
        separator_token_id = BOS

    corpus = tokenise(Texts(["abc", "de"]), OneSpecial(), tmp_path, CONTEXT)
    assert corpus.counted(0, 1).tolist() == [[False, True, True, True, False, True, True, False]]


def test_only_as_much_as_asked_for_is_read(tmp_path: Path) -> None:
    source = Texts(["abcdefg"] * 50)
    corpus = tokenise(source, Letters(), tmp_path, CONTEXT, max_sequences=3)
    assert corpus.n_sequences == 3
    assert source.n_read < 6


@pytest.mark.parametrize("context_size", [0, 1, 3])
def test_a_context_without_room_is_refused(tmp_path: Path, context_size: int) -> None:
    with pytest.raises(InvalidCorpus, match=f"a context of {context_size} is too short; the least is 4"):
        _tokenised(["abc"], tmp_path, context_size=context_size)
    assert list(tmp_path.iterdir()) == []


def test_a_complete_corpus_is_opened_again(tmp_path: Path) -> None:
    first = _tokenised(["abc"], tmp_path / "new" / "folder")
    source = Texts(["something else"])
    again = tokenise(source, Letters(), tmp_path / "new" / "folder", CONTEXT)
    assert source.n_read == 0
    assert np.array_equal(first.tokens, again.tokens)
    assert (again.name, again.bos_token_id, again.context_size) == ("texts", BOS, CONTEXT)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        "corpus.json",
        "lengths.npy",
        "tokens.npy",
    }


KILLED = """
import os, signal, sys
from pathlib import Path
from app.adapters.corpora import tokenise

class Killer:
    name, bos_token_id, separator_token_id = "killer", 0, 1

    def documents(self):
        yield "abcdefg" * 40
        os.kill(os.getpid(), signal.SIGKILL)

    def encode(self, text):
        return [2] * len(text)

tokenise(Killer(), Killer(), Path(sys.argv[1]), 8)
"""


def test_killed_half_way_no_corpus_counts_as_complete(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.raw"]
    assert open_corpus(tmp_path) is None
    corpus = _tokenised(["abc"], tmp_path)
    assert corpus.lengths.tolist() == [4]
    assert not (tmp_path / "tokens.raw").exists()


@pytest.mark.parametrize("name", ["tokens.npy", "lengths.npy"])
def test_a_save_that_fails_leaves_no_complete_corpus(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = "write_array" if name == "lengths.npy" else "write_array_header_1_0"
    real = getattr(np.lib.format, writer)

    def full(path: Any, *given: Any, **options: Any) -> Any:
        if name in str(getattr(path, "name", path)):
            raise OSError(28, "No space left on device", name)
        return real(path, *given, **options)

    monkeypatch.setattr(np.lib.format, writer, full)
    with pytest.raises(OSError, match=name):
        _tokenised(["abc"], tmp_path)
    assert open_corpus(tmp_path) is None


@pytest.mark.parametrize("name", ["tokens.npy", "lengths.npy", "corpus.json", "tokens.raw"])
def test_a_folder_in_the_way_of_a_file_is_cleared(tmp_path: Path, name: str) -> None:
    (tmp_path / "corpus" / name).mkdir(parents=True)
    assert _tokenised(["abc"], tmp_path / "corpus").lengths.tolist() == [4]
    (tmp_path / "file").write_text("no folder")
    assert _tokenised(["abc"], tmp_path / "file").lengths.tolist() == [4]


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    class Endless(Texts):
        def documents(self) -> Iterator[str]:
            for _ in range(600):
                yield "abcdefghij" * 100

    def peak(folder: Path, max_sequences: int) -> int:
        tracemalloc.start()
        tokenise(Endless([]), Letters(), folder, 64, max_sequences)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(tmp_path / "small", 900), peak(tmp_path / "large", 9000)
    size = (tmp_path / "large" / "tokens.npy").stat().st_size
    assert size > 2_000_000
    assert large - small < size // 4  # a few bytes a sequence: its length


def test_a_long_document_is_tokenised_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = HuggingFaceTokenizer(byte_level_tokenizer(), "tiny")
    text = "The dog sleeps on,\nand on. " * 40 + "x" * 300
    whole = tokenise(Texts([text]), tokenizer, tmp_path / "whole", 32)
    longest = 0
    encode = tokenizer.encode

    def spy(part: str) -> list[int]:
        nonlocal longest
        longest = max(longest, len(part))
        return encode(part)

    monkeypatch.setattr(tokenizer, "encode", spy)
    monkeypatch.setattr(corpora, "PART_CHARACTERS", 100)
    parts = tokenise(Texts([text]), tokenizer, tmp_path / "parts", 32)
    assert longest == 100
    spelled = [
        b"".join(map(tokenizer.token_bytes, corpus.tokens[corpus.counted(0, corpus.n_sequences)].tolist()))
        for corpus in (whole, parts)
    ]
    assert spelled == [text.encode(), text.encode()]


def _saved(folder: Path, array: np.ndarray) -> Path:
    path = folder / "given.npy"
    np.save(path, array)
    return path


def _loaded(path: Path, folder: Path, max_sequences: int | None = None) -> Corpus:
    return load_pretokenised(path, folder / "out", BOS, 30, max_sequences)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_an_array_is_taken_as_it_is(tmp_path: Path, dtype: type) -> None:
    tokens = np.array([[BOS, 5, 6, 7], [BOS, 8, BOS, 29], [BOS, 1, 1, 1]], dtype)
    corpus = _loaded(_saved(tmp_path, tokens), tmp_path, max_sequences=2)
    assert corpus.tokens.tolist() == tokens[:2].tolist()
    assert corpus.tokens.dtype == np.int32
    assert corpus.name == "given.npy"
    assert corpus.counted(0, 2).tolist() == [[False, True, True, True], [False, True, False, True]]


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((2, 8)), "holds float64 of shape (2, 8), not integers [n_sequences, context_size]"),
        (np.zeros(8, int), "holds int64 of shape (8,)"),
        (np.zeros((2, 2, 8), int), "holds int64 of shape (2, 2, 8)"),
        (np.zeros((2, 8), bool), "holds bool"),
        (np.zeros((0, 8), int), "has 0 usable tokens"),
        (np.zeros((2, 3), int), "has 0 usable tokens"),
        (np.array([[0, 1, 2, 30]]), "holds token ids 0 to 30; the model's are 0 to 29"),
        (np.array([[0, 1, 2, -1]]), "holds token ids -1 to 2"),
        (np.array([[0, 1, 2, 3], [1, 1, 2, 3]]), "every sequence must begin with the model's BOS token, 0"),
        (np.array([{"a": 1}], object), "is not a readable .npy array"),
    ],
)
def test_a_wrong_array_is_refused(tmp_path: Path, array: np.ndarray, problem: str) -> None:
    path = _saved(tmp_path, array)
    with pytest.raises(InvalidCorpus) as caught:
        _loaded(path, tmp_path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', "])
def test_a_broken_array_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "given.npy"
    path.write_bytes(content)
    with pytest.raises(InvalidCorpus, match=r"given\.npy is not a readable \.npy array"):
        _loaded(path, tmp_path)
    with pytest.raises(InvalidCorpus, match=r"missing\.npy is not a readable \.npy array"):
        _loaded(tmp_path / "missing.npy", tmp_path)


PADDED = np.array([[BOS, 5, 6, 7, 8, 9, 3, 4], [BOS, 5, 6, 9, 9, 9, 9, 9], [BOS, 5, 9, 6, 9, 9, 9, 9]])


def test_padding_that_is_named_is_not_counted(tmp_path: Path) -> None:
    corpus = load_pretokenised(_saved(tmp_path, PADDED), tmp_path / "out", BOS, 30, None, pad_token_id=9)
    assert corpus.lengths.tolist() == [8, 3, 4]
    assert corpus.counted(0, 3).sum(axis=1).tolist() == [7, 2, 3]


def test_padding_that_nothing_names_is_refused_with_the_option(tmp_path: Path) -> None:
    path = _saved(tmp_path, PADDED)
    with pytest.raises(InvalidCorpus, match="sequence 1 ends in 5 tokens 9, .* say --pad-token 9"):
        _loaded(path, tmp_path)
    corpus = load_pretokenised(path, tmp_path / "text", BOS, 30, None, pad_token_id=NO_PADDING)
    assert corpus.counted(0, 3).sum() == 21


def test_one_long_run_says_padding_and_a_short_one_does_not(tmp_path: Path) -> None:
    long = np.array([[BOS, *range(1, 17), *[9] * 20]])
    with pytest.raises(InvalidCorpus, match="ends in 20 tokens 9"):
        _loaded(_saved(tmp_path, long), tmp_path)
    short = np.array([[BOS, 5, 6, 9, 9, 9, 9, 9], [BOS, 5, 6, 7, 8, 1, 2, 3]])
    assert _loaded(_saved(tmp_path, short), tmp_path).counted(0, 2).sum() == 14


def test_padding_by_bos_counts_nowhere_and_padding_at_the_front_is_refused(tmp_path: Path) -> None:
    behind = np.array([[BOS, 5, 6, *[BOS] * 20], [BOS, 7, *[BOS] * 21]])
    assert _loaded(_saved(tmp_path, behind), tmp_path).counted(0, 2).sum() == 3
    front = np.array([[BOS, BOS, BOS, 5, 6, 7], [BOS, 5, 6, 7, 8, 9]])
    with pytest.raises(InvalidCorpus, match="begins with BOS twice, as if padded at the front"):
        load_pretokenised(_saved(tmp_path, front), tmp_path / "front", BOS, 30, None)
