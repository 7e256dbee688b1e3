"""Several data sets as one corpus: whose sequence comes when, and which document each token is of."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.corpora import Corpus, make_corpus, open_corpus
from app.adapters.corpus_parts import TextPart
from app.adapters.text_sources import NamedDocuments, PythonDocs, TextFolder
from app.adapters.token_arrays import ArrayPart
from app.domain.documents import DocumentStart
from app.errors import InvalidCorpus
from tests.support.letter_texts import BOS, SEPARATOR, Letters, Texts

CONTEXT = 5


def corpus_of(
    sets: dict[str, list[str]], folder: Path, most: int | None = None, context: int = CONTEXT
) -> Corpus:
    parts = [TextPart(Texts(texts, name), Letters()) for name, texts in sets.items()]
    return make_corpus(parts, BOS, folder, context, most)


def letters(corpus: Corpus) -> list[str]:
    """Each sequence as text: | for the separator, - for BOS and padding."""
    names = {BOS: "-", SEPARATOR: "|"}
    return [
        "".join(names.get(token, chr(token + ord("a") - 2)) for token in row)
        for row in corpus.tokens.tolist()
    ]


def test_a_sequence_of_each_data_set_is_taken_in_turn_until_all_have_ended(tmp_path: Path) -> None:
    sets = {"one": ["abcdefghij", "kl"], "two": ["mn"], "three": ["opqrs"]}
    corpus = corpus_of(sets, tmp_path)
    assert letters(corpus) == ["-abcd", "-mn--", "-opqr", "-efgh", "-s---", "-ij|k", "-l---"]
    assert corpus.lengths.tolist() == [5, 3, 5, 5, 2, 5, 2]
    assert (corpus.names, corpus.name) == (("one", "two", "three"), "one, two, three")
    assert list(corpus.documents()) == [
        (DocumentStart(1, 0, 1),),
        (DocumentStart(1, 1, 1),),
        (DocumentStart(1, 2, 1),),
        (DocumentStart(1, 0, 1),),
        (DocumentStart(1, 2, 1),),
        (DocumentStart(1, 0, 1), DocumentStart(4, 0, 2)),  # the separator ends a document
        (DocumentStart(1, 0, 2),),
    ]


def test_few_sequences_are_of_all_data_sets_and_another_order_is_another_corpus(tmp_path: Path) -> None:
    sets = {"one": ["abcdefghij"], "two": ["mnopqrst"]}
    few = corpus_of(sets, tmp_path / "few", most=3)
    assert letters(few) == ["-abcd", "-mnop", "-efgh"]
    other = corpus_of(dict(reversed(sets.items())), tmp_path / "other", most=3)
    assert letters(other) == ["-mnop", "-abcd", "-qrst"]
    assert few.checksum != other.checksum


def test_many_names_are_counted(tmp_path: Path) -> None:
    corpus = corpus_of({name: ["abc"] for name in "vwxyz"}, tmp_path)
    assert (corpus.names, corpus.name) == (tuple("vwxyz"), "v, w, x and 2 more")


def test_one_data_set_without_text_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidCorpus, match="^the corpus two has 0 usable tokens$"):
        corpus_of({"one": ["abcdefghij"], "two": [" "]}, tmp_path)
    assert open_corpus(tmp_path) is None


def test_arrays_stand_beside_texts_and_have_their_length(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.array([[BOS, 9, 9, 3, 4], [BOS, 5, 6, 7, 8]]))
    array = ArrayPart(tmp_path / "rows.npy", BOS, 30, None, pad_token_id=8)
    parts = [TextPart(Texts(["abcdef"], "one"), Letters()), array]
    corpus = make_corpus(parts, BOS, tmp_path / "out", CONTEXT)
    assert corpus.tokens.tolist() == [[0, 2, 3, 4, 5], [0, 9, 9, 3, 4], [0, 6, 7, 0, 0], [0, 5, 6, 7, 8]]
    assert corpus.lengths.tolist() == [5, 5, 3, 4]
    assert list(corpus.documents())[1::2] == [(DocumentStart(1, 1, 1),), (DocumentStart(1, 1, 2),)]
    with pytest.raises(InvalidCorpus, match=r"rows\.npy has sequences of 5 tokens, others of 6"):
        make_corpus(parts, BOS, tmp_path / "longer", CONTEXT + 1)


TEXTS = st.lists(st.text("abcde", max_size=12), min_size=1, max_size=6).filter(any)


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(4, 9))
def test_every_token_is_of_the_document_that_the_corpus_says(
    tmp_path_factory: pytest.TempPathFactory, sets: list[list[str]], context: int
) -> None:
    named = {str(number): texts for number, texts in enumerate(sets)}
    corpus = corpus_of(named, tmp_path_factory.mktemp("corpus"), context=context)
    spelled = {(index, number): "" for index, texts in enumerate(sets) for number in range(1, len(texts) + 1)}
    for row, length, starts in zip(corpus.tokens, corpus.lengths, corpus.documents(), strict=True):
        assert [start.position for start in starts] == sorted({start.position for start in starts})
        for position in range(1, int(length)):
            owner = [start for start in starts if start.position <= position][-1]
            if row[position] != SEPARATOR:
                spelled[owner.dataset, owner.number] += chr(int(row[position]) + ord("a") - 2)
    assert spelled == {
        (index, number): text for index, texts in enumerate(sets) for number, text in enumerate(texts, 1)
    }


def test_files_and_topics_give_documents_their_names(tmp_path: Path) -> None:
    (tmp_path / "texts" / "inner").mkdir(parents=True)
    (tmp_path / "texts" / "b.txt").write_text("abc")
    (tmp_path / "texts" / "inner" / "a.md").write_text("def")
    corpus = make_corpus([TextPart(TextFolder(tmp_path / "texts"), Letters())], BOS, tmp_path / "out", 9)
    assert list(corpus.documents()) == [
        (DocumentStart(1, 0, 1, "b.txt"), DocumentStart(5, 0, 2, "inner/a.md")),
    ]
    topics = PythonDocs()
    assert isinstance(topics, NamedDocuments)
    assert (
        len(list(topics.document_names()))
        == len(set(topics.document_names()))
        == len(list(topics.documents()))
    )
