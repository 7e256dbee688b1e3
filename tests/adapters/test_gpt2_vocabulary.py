"""All 50,257 tokens of GPT-2: none is taken for another."""

import pytest

from app.adapters.tokenizers import HuggingFaceTokenizer
from app.domain.tokens import Vocabulary
from tests.support.counts import count
from tests.support.gpt2_vocabulary import N_TOKENS, gpt2_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(gpt2_tokenizer(), "gpt2")


@pytest.fixture(scope="module")
def vocabulary(tokenizer: HuggingFaceTokenizer) -> Vocabulary:
    return tokenizer.vocabulary(N_TOKENS)


def test_the_files_are_those_of_gpt2(tokenizer: HuggingFaceTokenizer) -> None:
    assert tokenizer.encode("Hello world") == [15496, 995]
    assert tokenizer.bos_token_id == N_TOKENS - 1


def test_c01_each_token_of_gpt2_has_bytes_of_its_own(vocabulary: Vocabulary) -> None:
    spelled = [vocabulary.token_bytes(token_id) for token_id in range(N_TOKENS)]
    assert len(set(spelled)) == N_TOKENS
    assert {bytes([byte]) for byte in range(256)} <= set(spelled)
    not_text = sum(1 for token in spelled if token != token.decode(errors="replace").encode())
    assert not_text == 344  # single bytes and parts of characters, which a string cannot keep
    assert vocabulary.special_ids == {N_TOKENS - 1}
    count("distinct tokens", len(set(spelled)))
