"""Tokens back to bytes: byte-level vocabularies and SentencePiece's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from app.adapters.tokenizers import HuggingFaceTokenizer
from app.errors import InvalidModel
from tests.support.tiny_models import BOS, END, byte_level_tokenizer

BYTE_LEVEL = HuggingFaceTokenizer(byte_level_tokenizer(), "tiny")


def _sentence_piece() -> PreTrainedTokenizerFast:
    """Words with a visible space, and a token for each byte of anything else."""
    pieces = ["<s>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += ["\u2581", "a", "b", "c", "é", "\u2581a", "ab", "\u2581ab"]
    vocabulary = {piece: token_id for token_id, piece in enumerate(pieces)}
    merges = [("\u2581", "a"), ("a", "b"), ("\u2581", "ab")]
    tokenizer: Any = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()])
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


SENTENCE_PIECE = HuggingFaceTokenizer(_sentence_piece(), "pieces")


def _spelled(tokenizer: HuggingFaceTokenizer, text: str) -> bytes:
    return b"".join(tokenizer.token_bytes(token_id) for token_id in tokenizer.encode(text))


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(ANY_TEXT)
def test_byte_level_tokens_spell_any_text(text: str) -> None:
    assert _spelled(BYTE_LEVEL, text) == text.encode()


@given(ANY_TEXT | st.text("abcé \n"))
def test_sentence_piece_tokens_spell_any_text(text: str) -> None:
    # The piece that stands for a space has no other meaning in such a vocabulary.
    assert _spelled(SENTENCE_PIECE, text) == text.replace("\u2581", " ").encode()


def test_c01_every_token_of_both_vocabularies_has_its_bytes() -> None:
    stray = {BYTE_LEVEL.token_bytes(token_id) for token_id in range(320)}
    assert {bytes([byte]) for byte in range(256)} <= stray
    assert [SENTENCE_PIECE.token_bytes(3 + byte) for byte in range(256)] == [bytes([b]) for b in range(256)]
    assert SENTENCE_PIECE.token_bytes(259 + 5) == b" a"
    assert SENTENCE_PIECE.token_bytes(259 + 4) == "é".encode()


def test_special_tokens_are_known_and_bear_their_names() -> None:
    assert (BYTE_LEVEL.bos_token_id, BYTE_LEVEL.separator_token_id) == (0, 1)
    assert BYTE_LEVEL.special_token_ids == {0, 1}
    assert [BYTE_LEVEL.token_bytes(0), BYTE_LEVEL.token_bytes(1)] == [BOS.encode(), END.encode()]
    assert SENTENCE_PIECE.special_token_ids == {0, 1, 2}


def test_no_special_token_is_added() -> None:
    assert not BYTE_LEVEL.special_token_ids & set(BYTE_LEVEL.encode("One, two."))
    assert BYTE_LEVEL.encode("") == []


def test_the_vocabulary_covers_padded_embeddings() -> None:
    vocabulary = BYTE_LEVEL.vocabulary(330)
    assert len(vocabulary) == 330
    assert vocabulary.token_bytes(325) == b""
    assert vocabulary.special_ids == {0, 1}
    assert BYTE_LEVEL.vocabulary(1).special_ids == {0}


def test_the_end_of_text_token_serves_as_bos() -> None:
    only_end = HuggingFaceTokenizer(byte_level_tokenizer(bos=None), "gpt2-like")
    assert only_end.bos_token_id == only_end.separator_token_id == 0


def test_a_tokenizer_without_either_is_refused() -> None:
    with pytest.raises(InvalidModel, match="the tokenizer of bare has no BOS token"):
        HuggingFaceTokenizer(byte_level_tokenizer(bos=None, end=None), "bare")


@pytest.mark.parametrize("tokenizer", [BYTE_LEVEL, SENTENCE_PIECE], ids=["byte level", "pieces"])
def test_text_that_spells_a_special_token_is_text(tokenizer: HuggingFaceTokenizer) -> None:
    for token_id in sorted(tokenizer.special_token_ids):
        name = tokenizer.token_bytes(token_id).decode()
        text = f"ab {name} ab{name}{name}"
        assert not tokenizer.special_token_ids & set(tokenizer.encode(text))
        assert _spelled(tokenizer, text) == text.encode()


def test_a_vocabulary_with_the_spelling_as_a_piece_does_not_use_it() -> None:
    """As converted SentencePiece vocabularies have it: the model itself matches `</s>` in text."""
    pieces = [("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((c, -1.0) for c in "ab</s>\u2581")]
    inner: Any = Tokenizer(models.Unigram(pieces, unk_id=2))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = HuggingFaceTokenizer(PreTrainedTokenizerFast(tokenizer_object=inner, **special), "unigram")
    assert not {0, 1} & set(tokenizer.encode("a</s>b<s>"))
    assert _spelled(tokenizer, "a</s>b<s>") == b"a</s>b<s>"
