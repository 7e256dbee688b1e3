"""Tokens as visible text: nothing hides, nothing is mistaken for another, copied text is right."""

import json
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tokens import KEPT_CHARACTERS, MAX_CHARACTERS, TokenPart, TokenView, Vocabulary
from app.errors import InvalidStore

BOS = "<|endoftext|>"


def vocabulary(*tokens: bytes | str, special: Iterable[int] = ()) -> Vocabulary:
    return Vocabulary.from_tokens([t.encode() if isinstance(t, str) else t for t in tokens], special)


def view(token: bytes | str) -> TokenView:
    return vocabulary(token).view(0)


def looks(token: bytes | str) -> list[tuple[str, str]]:
    return [(part.kind, part.text) for part in view(token).parts]


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        (" the", [("text", " the")]),
        ("", [("marker", "∅")]),
        ("\n", [("control", "↵")]),
        (" a\n\n\tb", [("text", " a"), ("control", "↵"), ("control", "↵"), ("control", "⇥"), ("text", "b")]),
        ("\r\0\x1b\x7f", [("control", "␍"), ("control", "␀"), ("control", "␛"), ("control", "␡")]),
        (b"\xe2\x80", [("bytes", "E2 80")]),
        (b" \xe2", [("text", " "), ("bytes", "E2")]),
        (b"\x99s \xf0\x9f", [("bytes", "99"), ("text", "s "), ("bytes", "F0 9F")]),
        (b"\xff\xc0\xaf", [("bytes", "FF C0 AF")]),
        (b"\xed\xa0\x80", [("bytes", "ED A0 80")]),  # a surrogate is no character
        ("a\u200bb", [("text", "a"), ("marker", "U+200B"), ("text", "b")]),
        ("\u00ad", [("marker", "U+00AD")]),
        ("\u202e\u2066", [("marker", "U+202E"), ("marker", "U+2066")]),
        ("\u00a0", [("marker", "U+00A0")]),
        ("\u2028", [("marker", "U+2028")]),
        ("\u0085", [("marker", "U+0085")]),
        ("\ufeff", [("marker", "U+FEFF")]),
        ("\U000e0041", [("marker", "U+E0041")]),
        ("\u3164", [("marker", "U+3164")]),
        ("\u0301", [("marker", "◌\u0301")]),
        ("e\u0301", [("text", "e\u0301")]),
        ("<b>&lt;", [("text", "<b>&lt;")]),
        ("日本", [("text", "日本")]),
    ],
)
def test_c08_what_a_token_looks_like(token: bytes | str, parts: list[tuple[str, str]]) -> None:
    assert looks(token) == parts


def test_c05_every_control_character_has_a_picture() -> None:
    shown = [looks(chr(c)) for c in (*range(32), 127)]
    assert all(kind == "control" and len(text) == 1 for ((kind, text),) in shown)
    assert len({text for ((_, text),) in shown}) == 33


def test_c09_long_tokens_are_elided_and_whole_in_the_title() -> None:
    just, long = "-" * MAX_CHARACTERS, "=" * 65 + "\n"
    assert looks(just) == [("text", just)]
    assert looks(long) == [("text", "=" * KEPT_CHARACTERS), ("elision", "…\u00d766")]
    assert "=" * 65 + "↵" in view(long).title
    assert view(long).text == long
    assert "".join(part.raw for part in view(long).parts) == long
    stray = view(b"\x80" * 40)
    assert stray.parts == (
        TokenPart("bytes", " ".join(["80"] * 9), ""),
        TokenPart("elision", "…\u00d740", ""),
    )


def test_c10_the_special_token_is_not_its_own_spelling() -> None:
    both = vocabulary(BOS, BOS, special=[0])
    special, literal = both.view(0), both.view(1)
    assert (special.kind, literal.kind) == ("special", "text")
    assert special.text == literal.text == BOS
    assert special.title != literal.title


def test_text_that_imitates_a_marker_is_told_from_it() -> None:
    pairs = [
        (b"\xe2\x80", "\u2039E2 80\u203a"),
        ("\n", "↵"),
        ("\u200b", "U+200B"),
        ("=" * 66, "=" * 9 + "…\u00d766"),
    ]
    for real, imitation in pairs:
        assert looks(real) != looks(imitation)


def test_json_text_is_whole_with_stray_bytes_as_hex() -> None:
    assert view(" of").text == " of"
    assert view("\n\u200b").text == "\n\u200b"
    assert view(b"a\xe2\x80").text == "a\u2039E2 80\u203a"


def test_ids_that_are_no_token_are_shown_as_such() -> None:
    words = vocabulary("a", "b")
    for token_id in (2, -1, 10**6):
        assert words.view(token_id).kind == "unknown"
        assert str(token_id) in words.view(token_id).title
        assert words.sequence_views([0, token_id])[1] == words.view(token_id)
        assert words.plain_text([0, token_id, 1]) == "ab"
        with pytest.raises(IndexError, match=str(token_id)):
            words.token_bytes(token_id)


def test_c02_a_split_character_is_chips_but_is_named_and_copied() -> None:
    smile = "😀".encode()
    words = vocabulary(smile[:2], smile[2:3], smile[3:], b"x", smile[3:] + smile[:2], special=[])
    views = words.sequence_views([3, 0, 1, 4, 1, 2, 3, 2])
    assert [part.kind for v in views for part in v.parts] == ["text", *["bytes"] * 5, "text", "bytes"]
    assert ["U+1F600" in v.title for v in views] == [False, True, True, True, True, True, False, False]
    assert [v.parts[-1].raw for v in views] == ["x", "😀", "", "😀", "", "", "x", ""]
    # What is cached for the token by itself stays as it was.
    assert "U+1F600" not in words.view(0).title


def test_a_long_token_that_ends_inside_a_character_copies_back_whole() -> None:
    words = vocabulary(b"=" * 20 + b"\xe2\x80", b"\x99")
    views = words.sequence_views([0, 1])
    assert "".join(part.raw for v in views for part in v.parts) == "=" * 20 + "\u2019"


def test_a_special_token_interrupts_a_character() -> None:
    quote = "\u2019".encode()
    words = vocabulary(quote[:2], quote[2:], BOS, special=[2])
    assert words.plain_text([0, 2, 1]) == f"\ufffd{BOS}\ufffd"
    assert words.sequence_views([0, 2, 1]) == (words.view(0), words.view(2), words.view(1))
    assert words.plain_text([0, 1]) == "\u2019"
    assert words.plain_texts([[0, 2, 1], [], [0, 1, 9]]) == [f"\ufffd{BOS}\ufffd", "", "\u2019"]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


@given(st.text(max_size=30), st.lists(st.integers(0, 200), max_size=12))
def test_any_text_cut_anywhere_copies_back_whole(text: str, cuts: list[int]) -> None:
    words = Vocabulary.from_tokens(pieces(text.encode(), cuts), [])
    ids = range(len(words))
    assert words.plain_text(ids) == text
    assert "".join(part.raw for v in words.sequence_views(ids) for part in v.parts) == text


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_c06_any_bytes_are_visible_safe_and_distinct(tokens: list[bytes]) -> None:
    words = Vocabulary.from_tokens(tokens, [])
    views = [words.view(token_id) for token_id in range(len(words))]
    assert len({v.title for v in views}) == len(tokens)
    for v, token in zip(views, tokens, strict=True):
        json.dumps(v.text).encode()
        v.text.encode()
        hidden = ("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn")
        assert v.parts
        assert not any(
            unicodedata.category(c) in hidden for c in "".join(part.text for part in v.parts) + v.title
        )
        # By itself, equal looks mean equal bytes, as long as nothing is left out.
        for other, twin in zip(views, tokens, strict=True):
            if v.parts[-1].kind != "elision" and v.parts == other.parts:
                assert token == twin


@given(st.lists(st.binary(max_size=5), max_size=9), st.sets(st.integers(0, 8)))
def test_a_blob_comes_back_and_is_the_same_every_time(tokens: list[bytes], special: set[int]) -> None:
    words = Vocabulary.from_tokens(tokens, {s for s in special if s < len(tokens)})
    again = Vocabulary.from_blob(words.to_blob())
    assert [again.token_bytes(i) for i in range(len(again))] == tokens
    assert again.special_ids == words.special_ids
    assert again.to_blob() == words.to_blob()
    assert again.checksum == words.checksum


def test_the_checksum_tells_bytes_cuts_and_special_ids_apart() -> None:
    kinds = [
        vocabulary("ab", "c"),
        vocabulary("a", "bc"),
        vocabulary("ab", "d"),
        vocabulary("ab", "c", special=[0]),
    ]
    assert len({words.checksum for words in kinds}) == 4


def test_a_broken_blob_is_refused() -> None:
    blob = vocabulary("ab", "c", special=[1]).to_blob()
    for broken in (b"", b"\x93NUMPY", *(blob[:n] for n in range(len(blob))), blob + b"x", b"X" + blob[1:]):
        with pytest.raises(InvalidStore):
            Vocabulary.from_blob(broken)
    with pytest.raises(InvalidStore):
        Vocabulary.from_blob(blob[:-7] + b"\x09" + blob[-6:])  # the special id points beyond the vocabulary


def test_special_ids_must_be_tokens() -> None:
    with pytest.raises(ValueError, match="2 tokens"):
        vocabulary("a", "b", special=[2])
