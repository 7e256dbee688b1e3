"""Arrays of tokens as a corpus: what is taken, how padding is told, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from app.adapters.corpora import Corpus, load_pretokenised
from app.adapters.token_padding import NO_PADDING
from app.errors import InvalidCorpus

BOS = 0


def write_array(folder: Path, array: np.ndarray) -> Path:
    path = folder / "given.npy"
    np.save(path, array)
    return path


def load(path: Path, folder: Path, max_sequences: int | None = None) -> Corpus:
    return load_pretokenised(path, folder / "out", BOS, 30, max_sequences)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint16])
def test_an_array_is_taken_as_it_is(tmp_path: Path, dtype: type) -> None:
    tokens = np.array([[BOS, 5, 6, 7], [BOS, 8, BOS, 29], [BOS, 1, 1, 1]], dtype)
    corpus = load(write_array(tmp_path, tokens), tmp_path, max_sequences=2)
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
    path = write_array(tmp_path, array)
    with pytest.raises(InvalidCorpus) as caught:
        load(path, tmp_path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', "])
def test_a_broken_array_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "given.npy"
    path.write_bytes(content)
    with pytest.raises(InvalidCorpus, match=r"given\.npy is not a readable \.npy array"):
        load(path, tmp_path)
    with pytest.raises(InvalidCorpus, match=r"missing\.npy is not a readable \.npy array"):
        load(tmp_path / "missing.npy", tmp_path)


PADDED = np.array([[BOS, 5, 6, 7, 8, 9, 3, 4], [BOS, 5, 6, 9, 9, 9, 9, 9], [BOS, 5, 9, 6, 9, 9, 9, 9]])


def test_padding_that_is_named_is_not_counted(tmp_path: Path) -> None:
    corpus = load_pretokenised(write_array(tmp_path, PADDED), tmp_path / "out", BOS, 30, None, pad_token_id=9)
    assert corpus.lengths.tolist() == [8, 3, 4]
    assert corpus.counted(0, 3).sum(axis=1).tolist() == [7, 2, 3]


def test_padding_that_nothing_names_is_refused_with_the_option(tmp_path: Path) -> None:
    path = write_array(tmp_path, PADDED)
    with pytest.raises(InvalidCorpus, match="sequence 1 ends in 5 tokens 9, .* say --pad-token 9"):
        load(path, tmp_path)
    corpus = load_pretokenised(path, tmp_path / "text", BOS, 30, None, pad_token_id=NO_PADDING)
    assert corpus.counted(0, 3).sum() == 21


def test_one_long_run_says_padding_and_a_short_one_does_not(tmp_path: Path) -> None:
    long = np.array([[BOS, *range(1, 17), *[9] * 20]])
    with pytest.raises(InvalidCorpus, match="ends in 20 tokens 9"):
        load(write_array(tmp_path, long), tmp_path)
    short = np.array([[BOS, 5, 6, 9, 9, 9, 9, 9], [BOS, 5, 6, 7, 8, 1, 2, 3]])
    assert load(write_array(tmp_path, short), tmp_path).counted(0, 2).sum() == 14


def test_padding_by_bos_counts_nowhere_and_padding_at_the_front_is_refused(tmp_path: Path) -> None:
    behind = np.array([[BOS, 5, 6, *[BOS] * 20], [BOS, 7, *[BOS] * 21]])
    assert load(write_array(tmp_path, behind), tmp_path).counted(0, 2).sum() == 3
    front = np.array([[BOS, BOS, BOS, 5, 6, 7], [BOS, 5, 6, 7, 8, 9]])
    with pytest.raises(InvalidCorpus, match="begins with BOS twice, as if padded at the front"):
        load_pretokenised(write_array(tmp_path, front), tmp_path / "front", BOS, 30, None)
