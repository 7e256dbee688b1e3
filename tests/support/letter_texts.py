"""A tokenizer of single letters, and a source of texts that counts what is read of it."""

from collections.abc import Iterator
from dataclasses import dataclass

BOS, SEPARATOR = 0, 1


class Letters:
    """One token a character, from 2 on."""

    bos_token_id = BOS
    separator_token_id = SEPARATOR

    def encode(self, text: str) -> list[int]:
        return [ord(character) - ord("a") + 2 for character in text]


@dataclass
class Texts:
    """Some documents. n_read: how many of them were asked for."""

    texts: list[str]
    name: str = "texts"
    n_read: int = 0

    def documents(self) -> Iterator[str]:
        for text in self.texts:
            self.n_read += 1
            yield text

    def identity(self) -> str:
        return "fixed"
