"""An index from texts to tokens: exact, or ignoring a leading space and letter case."""

from bisect import bisect_left
from dataclasses import dataclass

from app.domain.tokens import Vocabulary


def plain(text: str) -> str:
    """A token's text without one leading space and in lower case."""
    return text.removeprefix(" ").lower()


@dataclass(frozen=True)
class TokenIndex:
    exact: dict[str, tuple[int, ...]]
    loose: dict[str, tuple[int, ...]]
    ordered: tuple[str, ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "TokenIndex":
        """The index of a vocabulary, without tokens that are not valid UTF-8 on their own."""
        exact: dict[str, list[int]] = {}
        loose: dict[str, list[int]] = {}
        for token_id in range(len(vocabulary)):
            try:
                text = vocabulary.token_bytes(token_id).decode()
            except UnicodeDecodeError:
                continue
            exact.setdefault(text, []).append(token_id)
            loose.setdefault(plain(text), []).append(token_id)
        return cls(
            {text: tuple(ids) for text, ids in exact.items()},
            {text: tuple(ids) for text, ids in loose.items()},
            tuple(sorted(text for text in loose if text)),
        )

    def find(self, text: str, exactly: bool) -> tuple[int, ...]:
        return self.exact.get(text, ()) if exactly else self.loose.get(plain(text), ())

    def beginning_with(self, text: str, n: int) -> tuple[str, ...]:
        """The first n token texts, sorted, that begin with the text up to a leading space and letter case."""
        beginning = plain(text)
        start = bisect_left(self.ordered, beginning)
        return tuple(
            candidate for candidate in self.ordered[start : start + n] if candidate.startswith(beginning)
        )
