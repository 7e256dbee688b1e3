"""Token ids and their bytes as visible text: every token can be told from every other, and none can hide.

No markup here. A page gives each kind of part its own look, so text that imitates a marker is told from a
marker.
"""

import hashlib
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate, groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidStore

TokenKind = Literal["text", "special", "unknown"]
# text: shown as it is. control: a picture of a control character. marker: the code point of an invisible or
# unattached character. bytes: hex of bytes that are not UTF-8 by themselves. elision: the end of a long
# token.
PartKind = Literal["text", "control", "marker", "bytes", "elision"]
MAX_CHARACTERS = 18
KEPT_CHARACTERS = 9
_OPEN, _CLOSE = "\u2039", "\u203a"  # single angle quotation marks, about the hex of stray bytes
_MAGIC = b"HAVOCAB1"
_HEADER = struct.Struct("<8sII")
_PICTURES = {"\n": "↵", "\t": "⇥", "\x7f": "␡"} | {
    chr(c): chr(0x2400 + c) for c in range(32) if c not in (9, 10)
}
# Drawn as nothing, though not in a category that says so: Hangul fillers, combining grapheme joiner, braille
# blank.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Controls (C1), formats (zero-width, bidi, soft hyphen), separators, surrogates, private use, unassigned.
_HIDDEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Zs", "Cs", "Co", "Cn"))


@dataclass(frozen=True)
class TokenPart:
    """A run of a token of one look. `text` is what to show, `raw` what to copy."""

    kind: PartKind
    text: str
    raw: str


@dataclass(frozen=True)
class TokenView:
    """One token, ready to show.

    text: the token as one string, whole and as it is, but for bytes that are not UTF-8 as hex in ‹ ›.
    title: its id, its kind and its whole text with nothing hidden; no two tokens share one.
    """

    token_id: int
    kind: TokenKind
    parts: tuple[TokenPart, ...]
    text: str
    title: str

    def __hash__(self) -> int:
        """The id, since views of one token differ only where a character is split over several."""
        return self.token_id

    @property
    def visible_text(self) -> str:
        """The token as pages show it, with signs for what cannot be seen."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The bytes of every token of a tokenizer, and which ids are special.

    `offsets` has one entry more than there are tokens; token i is blob[offsets[i]:offsets[i + 1]].
    """

    offsets: NDArray[np.int64]
    blob: bytes
    special_ids: frozenset[int]
    _views: dict[int, TokenView] = field(default_factory=dict[int, TokenView], init=False, repr=False)

    @classmethod
    def from_tokens(cls, token_bytes: Sequence[bytes], special_ids: Iterable[int]) -> "Vocabulary":
        """The vocabulary of a list of tokens. Raises ValueError for a special id that is no token."""
        special = frozenset(int(token_id) for token_id in special_ids)
        if any(not 0 <= token_id < len(token_bytes) for token_id in special):
            raise ValueError(f"special ids reach beyond the {len(token_bytes)} tokens")
        offsets = np.fromiter(accumulate(map(len, token_bytes), initial=0), np.int64, len(token_bytes) + 1)
        return cls(offsets, b"".join(token_bytes), special)

    @classmethod
    def from_blob(cls, data: bytes) -> "Vocabulary":
        """The vocabulary that to_blob wrote. Raises InvalidStore for anything else."""
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise InvalidStore(f"{len(data)} bytes that start {data[:8]!r} are not a vocabulary")
        _, n_tokens, n_special = _HEADER.unpack_from(data)
        body = _HEADER.size + 4 * (n_tokens + n_special)
        if len(data) < body:
            raise InvalidStore(f"a vocabulary of {n_tokens} tokens is cut off at {len(data)} bytes")
        numbers = np.frombuffer(data[_HEADER.size : body], dtype="<u4").astype(np.int64)
        lengths, special = numbers[:n_tokens], numbers[n_tokens:]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        if int(offsets[-1]) != len(data) - body or bool((special >= n_tokens).any()):
            raise InvalidStore(f"a vocabulary of {n_tokens} tokens does not fit its {len(data)} bytes")
        return cls(offsets, data[body:], frozenset(int(token_id) for token_id in special))

    def to_blob(self) -> bytes:
        """Everything as bytes: the same for the same vocabulary, on any machine."""
        special = sorted(self.special_ids)
        header = _HEADER.pack(_MAGIC, len(self), len(special))
        numbers = np.concatenate([np.diff(self.offsets), np.array(special, dtype=np.int64)])
        return header + numbers.astype("<u4").tobytes() + self.blob

    @property
    def checksum(self) -> str:
        """sha256 of to_blob, in hex."""
        return hashlib.sha256(self.to_blob()).hexdigest()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of a token. Raises IndexError for an id that is no token."""
        if not 0 <= token_id < len(self):
            raise IndexError(f"token {token_id} of a vocabulary of {len(self)}")
        return self.blob[self.offsets[token_id] : self.offsets[token_id + 1]]

    def view(self, token_id: int) -> TokenView:
        """One token by itself. An id that is no token (models pad their embeddings) is shown as unknown."""
        view = self._views.get(token_id)
        if view is None:
            view = self._views[int(token_id)] = self._make_view(int(token_id))
        return view

    def sequence_views(self, token_ids: Iterable[int]) -> tuple[TokenView, ...]:
        """The views of the tokens of a sequence, in their context.

        A character split over several tokens stays a byte chip in each of them, but their titles name it, and
        the token it begins in has it as `raw`, so copied text is right.
        """
        views = [self.view(token_id) for token_id in np.asarray(token_ids).tolist()]
        if not any(map(_may_be_split, views)):
            return tuple(views)
        for split, run in groupby(range(len(views)), lambda i: _may_be_split(views[i])):
            if split:
                positions = list(run)
                data = [self.token_bytes(views[i].token_id) for i in positions]
                views[positions[0] : positions[-1] + 1] = _joined([views[i] for i in positions], data)
        return tuple(views)

    def plain_text(self, token_ids: Iterable[int]) -> str:
        """The text of a sequence, special tokens by name; U+FFFD where bytes are not UTF-8 even together."""
        return self.plain_texts([token_ids])[0]

    def plain_texts(self, sequences: Iterable[Iterable[int]]) -> list[str]:
        """The text of each sequence, as `plain_text` gives it; each token is looked up once."""

        @cache
        def bytes_of(token_id: int) -> bytes:
            return self.token_bytes(token_id) if 0 <= token_id < len(self) else b""

        return [b"".join(map(bytes_of, token_ids)).decode(errors="replace") for token_ids in sequences]

    def _make_view(self, token_id: int) -> TokenView:
        if not 0 <= token_id < len(self):
            part = TokenPart("marker", f"#{token_id}", "")
            return TokenView(token_id, "unknown", (part,), "", f"token {token_id}, not in the vocabulary")
        data = self.token_bytes(token_id)
        units = list(_units(data))
        whole = _merged(units)
        spelling = "".join(_quoted(part) if part.kind == "bytes" else part.text for part in whole)
        text = "".join(_quoted(part) if part.kind == "bytes" else part.raw for part in whole)
        if token_id in self.special_ids:
            name = (TokenPart("text", spelling, text),)
            return TokenView(token_id, "special", name, text, f"token {token_id}, special: {spelling}")
        return TokenView(token_id, "text", _elided(units), text, f"token {token_id}: “{spelling}”")


def _decoded(data: bytes) -> Iterator[tuple[int, int, str]]:
    """The characters that the bytes spell, as (start, end, character); a byte that belongs to none has ''."""
    start = 0
    while start < len(data):
        try:
            text, broken = data[start:].decode(), 0
        except UnicodeDecodeError as error:
            text, broken = data[start : start + error.start].decode(), error.end - error.start
        for character in text:
            end = start + len(character.encode())
            yield start, end, character
            start = end
        for _ in range(broken):
            yield start, start + 1, ""
            start += 1


def _units(data: bytes) -> Iterator[TokenPart]:
    """One part for each character or stray byte."""
    for start, _, character in _decoded(data):
        if not character:
            yield TokenPart("bytes", f"{data[start]:02X}", "")
        elif character in _PICTURES:
            yield TokenPart("control", _PICTURES[character], character)
        elif character != " " and (character in _BLANK or unicodedata.category(character) in _HIDDEN):
            yield TokenPart("marker", f"U+{ord(character):04X}", character)
        elif unicodedata.category(character).startswith("M") and start == 0:
            # A mark that opens a token would be drawn on whatever stands before it.
            yield TokenPart("marker", f"◌{character}", character)
        else:
            yield TokenPart("text", character, character)


def _merged(units: Sequence[TokenPart]) -> tuple[TokenPart, ...]:
    """Neighbouring characters as one text, neighbouring stray bytes as one chip."""
    parts: list[TokenPart] = []
    for kind, run in groupby(units, lambda unit: unit.kind):
        if kind in ("text", "bytes"):
            same = list(run)
            between = " " if kind == "bytes" else ""
            joined = between.join(unit.text for unit in same)
            parts.append(TokenPart(kind, joined, "".join(unit.raw for unit in same)))
        else:
            parts.extend(run)
    return tuple(parts) or (TokenPart("marker", "∅", ""),)


def _elided(units: Sequence[TokenPart]) -> tuple[TokenPart, ...]:
    if len(units) <= MAX_CHARACTERS:
        return _merged(units)
    rest = "".join(unit.raw for unit in units[KEPT_CHARACTERS:])
    return (*_merged(units[:KEPT_CHARACTERS]), TokenPart("elision", f"…\u00d7{len(units)}", rest))


def _may_be_split(view: TokenView) -> bool:
    return view.kind == "text" and _OPEN in view.text


def _quoted(chip: TokenPart) -> str:
    return f"{_OPEN}{chip.text}{_CLOSE}"


def _joined(views: Sequence[TokenView], data: Sequence[bytes]) -> list[TokenView]:
    """The views of neighbouring tokens, with the characters that only their bytes together spell."""
    owner = [i for i, token in enumerate(data) for _ in token]
    result = list(views)
    for start, end, character in _decoded(b"".join(data)):
        if character and owner[start] != owner[end - 1]:
            name = f"U+{ord(character):04X}"
            for i in sorted(set(owner[start:end])):
                result[i] = replace(result[i], title=f"{result[i].title}, part of {name}")
            last = result[owner[start]].parts[-1]
            parts = (*result[owner[start]].parts[:-1], replace(last, raw=last.raw + character))
            result[owner[start]] = replace(result[owner[start]], parts=parts)
    return result
