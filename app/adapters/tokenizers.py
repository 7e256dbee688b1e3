"""Hugging Face tokenizers as the Tokenizer protocol: ids without special tokens, and each token's bytes."""

import hashlib
import json
import re
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.domain.tokens import Vocabulary
from app.errors import InvalidModel
from app.paths import file_sha256

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@cache
def _byte_of_character() -> dict[str, int]:
    """The byte of each character in GPT-2's byte-level alphabet: its own if printable, else from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    shifted = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(0x100 + offset): byte for offset, byte in enumerate(shifted)})
    return table


class HuggingFaceTokenizer:
    """A fast tokenizer of transformers. BOS is never added here: the corpus prepends it exactly once."""

    def __init__(self, tokenizer: Any, model_name: str) -> None:
        """Take a tokenizer. Raises InvalidModel where it has no token for text, and neither BOS nor end-of-text token.

        None: TransformerLens gives none for models of images or sound alone.
        """
        if tokenizer is None:
            raise InvalidModel(
                f"{model_name} is no language model: it has no tokenizer, and Head Atlas reads text"
            )
        self._tokenizer = tokenizer
        bos = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        if bos is None:
            raise InvalidModel(f"the tokenizer of {model_name} has no BOS token, which Head Atlas needs")
        self.bos_token_id: int = int(bos)
        eos = tokenizer.eos_token_id
        self.separator_token_id: int = int(bos if eos is None else eos)
        pad = tokenizer.pad_token_id
        self.pad_token_id: int | None = None if pad is None else int(pad)
        self._added = {int(i): token.content for i, token in tokenizer.added_tokens_decoder.items()}
        self.special_token_ids: frozenset[int] = frozenset(
            {int(i) for i in tokenizer.all_special_ids}
            | {int(i) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
        )
        if (
            not set(tokenizer.get_vocab().values()) - self.special_token_ids
        ):  # as transformers makes up where it has none
            raise InvalidModel(
                f"the tokenizer of {model_name} has no token for text: its own files are not beside the weights, "
                "such as tokenizer.json"
            )
        self._byte_level = _is_byte_level(tokenizer)
        self._never_in_text = self.special_token_ids - {tokenizer.unk_token_id}
        self._special_spelling = re.compile(
            "|".join(re.escape(self._added[i]) for i in sorted(self._never_in_text) if self._added.get(i))
            or "(?!)"
        )

    @cached_property
    def checksum(self) -> str:
        """sha256 of all that decides how text becomes ids, and ids text."""
        facts = [
            type(self._tokenizer).__name__,
            [self.bos_token_id, self.separator_token_id, sorted(self.special_token_ids)],
            sorted(self._added.items()),
            _rules(self._tokenizer),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """Token ids of the text, without special tokens: text that spells one is text like any other."""
        ids = self._encode(text)
        if self._never_in_text.isdisjoint(ids):
            return ids
        # A vocabulary that holds the spelling as an ordinary piece: no piece spans a cut.
        cuts = [0, *(match.start() + 1 for match in self._special_spelling.finditer(text)), len(text)]
        return [i for start, stop in pairwise(cuts) for i in self._encode(text[start:stop])]

    def _encode(self, text: str) -> list[int]:
        encoding = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return list(encoding["input_ids"])

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes a token stands for; a special token's own name in UTF-8; empty for an unused id."""
        if token_id in self._added:
            return self._added[token_id].encode()
        token = self._tokenizer.convert_ids_to_tokens(token_id)
        if token is None:
            return b""
        if self._byte_level:
            table = _byte_of_character()
            return bytes(table[character] for character in token)
        if match := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(match[1], 16)])
        return token.replace("\u2581", " ").encode()

    def vocabulary(self, d_vocab: int) -> Vocabulary:
        """The bytes of ids 0 to d_vocab - 1, and which of them are special."""
        special = {token_id for token_id in self.special_token_ids if token_id < d_vocab}
        return Vocabulary.from_tokens([self.token_bytes(token_id) for token_id in range(d_vocab)], special)


def _rules(tokenizer: Any) -> list[str]:
    """The rules of a fast tokenizer in full; of another, the checksums of the files of its vocabulary."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return [backend.to_str()]
    with TemporaryDirectory() as folder:
        paths = sorted(Path(path) for path in tokenizer.save_vocabulary(folder))
        return [f"{path.name} {file_sha256(path)}" for path in paths]


def _is_byte_level(tokenizer: Any) -> bool:
    """Whether the vocabulary is written in GPT-2's byte alphabet (else SentencePiece's)."""
    table = _byte_of_character()
    added = set(tokenizer.added_tokens_decoder)
    return all(
        all(character in table for character in token)
        for token, token_id in tokenizer.get_vocab().items()
        if token_id not in added
    )
