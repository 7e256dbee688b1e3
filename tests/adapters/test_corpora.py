"""Text to sequences of one length: what is kept, what is counted, and what is refused."""

import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters import corpus_parts
from app.adapters.corpora import Corpus, open_corpus, tokenise
from app.adapters.tokenizers import HuggingFaceTokenizer
from app.errors import InvalidCorpus
from tests.support.letter_texts import BOS, SEPARATOR, Letters, Texts
from tests.support.tiny_models import byte_level_tokenizer

CONTEXT = 8


def _tokenised(texts: list[str], folder: Path, **options: int) -> Corpus:
    return tokenise(Texts(texts), Letters(), folder, options.pop("context_size", CONTEXT), **options)


@pytest.mark.parametrize("length", [1, CONTEXT - 1, CONTEXT, CONTEXT + 1, 10 * CONTEXT])
def test_a19_one_document_of_each_length(tmp_path: Path, length: int) -> None:
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
def test_a18_nothing_to_read_is_refused(tmp_path: Path, texts: list[str]) -> None:
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
        "documents.jsonl",
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
    assert {path.name for path in tmp_path.iterdir()} == {"tokens.raw", "documents.jsonl"}
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


@pytest.mark.parametrize(
    "name", ["tokens.npy", "lengths.npy", "corpus.json", "tokens.raw", "documents.jsonl"]
)
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
    assert large - small < size // 4  # a few bytes per sequence: its length


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
    monkeypatch.setattr(corpus_parts, "PART_CHARACTERS", 100)
    parts = tokenise(Texts([text]), tokenizer, tmp_path / "parts", 32)
    assert longest == 100
    spelled = [
        b"".join(map(tokenizer.token_bytes, corpus.tokens[corpus.counted(0, corpus.n_sequences)].tolist()))
        for corpus in (whole, parts)
    ]
    assert spelled == [text.encode(), text.encode()]
