"""Prefix lengths and evidence counts against slow loops from their definitions."""

import numpy as np
import pytest

from app.domain.evidence import (
    KINDS,
    NO_SOURCE,
    PrefixLengths,
    count_evidence,
    long_prefix_share,
    normalised_ids,
    prefix_lengths,
)
from app.domain.tokens import Vocabulary

BOS = 0


def slow_prefix(tokens: list[int], dest: int, source: int) -> int:
    """Spans are dest - n + 1 .. dest and source - n .. source - 1."""
    best = 0
    for n in range(1, len(tokens) + 1):
        late, early = range(dest - n + 1, dest + 1), range(source - n, source)
        inside = early[0] >= 0 and late[0] >= 0
        if not inside or set(late) & set(early) or source > dest:
            break
        pairs = [(tokens[a], tokens[b]) for a, b in zip(late, early, strict=True)]
        if any(a != b or a == BOS for a, b in pairs):
            break
        best = n
    return best


@pytest.mark.parametrize("n_words", [2, 3, 30])
def test_prefix_lengths_are_the_slow_loop(n_words: int) -> None:
    rng = np.random.default_rng(n_words)
    tokens = rng.integers(0, n_words, (4, 24))  # BOS turns up inside sequences too
    tokens[:, 0] = BOS
    sequence, dest, source = np.meshgrid(np.arange(4), np.arange(24), np.arange(-1, 24), indexing="ij")
    found = prefix_lengths(tokens, sequence, dest, source, BOS)
    assert found.dtype == np.int16
    assert found.max() >= min(3, 33 // n_words)
    for index in np.ndindex(found.shape):
        row, late, src = (int(part[index]) for part in (sequence, dest, source))
        assert found[index] == slow_prefix(tokens[row].tolist(), late, src), index


def test_prefix_lengths_broadcast_over_heads() -> None:
    tokens = np.array([[BOS, 1, 2, 3, 1, 2, 3], [BOS, 5, 5, 5, 5, 5, 5]])
    sequence, dest = np.array([[0], [1]]), np.array([[5], [6]], dtype=np.int32)
    source = np.array([[3, 2, -1], [4, 6, 2]], dtype=np.int16)
    # In the run of fives at 1..6: source 4 has three tokens before it, which it may match without overlap;
    # source 6 is the destination itself, so only one token fits; source 2 has only one token before it.
    assert prefix_lengths(tokens, sequence, dest, source, BOS).tolist() == [[2, 0, 0], [3, 1, 1]]


@pytest.mark.parametrize("n_words", [2, 3, 8])
def test_the_share_of_long_prefixes_is_the_slow_loop(n_words: int) -> None:
    tokens = np.random.default_rng(n_words).integers(0, n_words, (4, 24))  # BOS turns up inside sequences too
    tokens[:, 0] = BOS
    shares: list[float] = []
    for row in tokens.tolist():
        for dest in range(24):
            lengths = [slow_prefix(row, dest, source) for source in range(1, dest + 1)]
            sources = [n for n in lengths if n >= 1]
            if sources:
                shares.append(float(np.mean([n >= 2 for n in sources])))
    assert 0 < np.mean(shares) < 1
    assert long_prefix_share(list(tokens), BOS) == pytest.approx(np.mean(shares))


def test_texts_without_repeats_have_no_long_prefixes() -> None:
    assert long_prefix_share([], BOS) == 0
    assert long_prefix_share([np.array([BOS, 1, 2, 3]), np.array([BOS])], BOS) == 0


def test_a_repeated_random_sequence_has_its_whole_prefix() -> None:
    once = np.random.default_rng(0).permutation(np.arange(1, 60))
    tokens = np.concatenate([[BOS], once, once])[None]
    dest = np.arange(60, 118)
    n = prefix_lengths(tokens, np.zeros(1, dtype=np.int64), dest, dest - 58, BOS)
    assert n.tolist() == list(range(1, 59))


def test_bos_and_an_empty_batch_match_nothing() -> None:
    tokens = np.array([[BOS, 4, BOS, 4]])
    zero = np.zeros(1, dtype=np.int64)
    assert prefix_lengths(tokens, zero, np.array([2]), np.array([1]), BOS).tolist() == [0]
    assert prefix_lengths(tokens, zero, np.array([3]), np.array([2]), BOS).tolist() == [1]
    empty = np.zeros((0, 1), dtype=np.int64)
    assert prefix_lengths(tokens, empty, empty, empty, BOS).shape == (0, 1)


TEXTS = ["<s>", "the", " The", "THE", "  the", " ", "", "Ä", " ä", "<s>", "ß", "ss"]
WORDS = [*(text.encode() for text in TEXTS), b"\xe2\x80", b" \xe2\x80"]
SPECIAL = 0


def equal_up_to_space_and_case(a: bytes, b: bytes) -> bool:
    texts = [word.removeprefix(b" ").decode("latin-1") for word in (a, b)]
    try:
        texts = [word.removeprefix(b" ").decode() for word in (a, b)]
    except UnicodeDecodeError:
        return texts[0] == texts[1]
    return texts[0].lower() == texts[1].lower()


def test_normalised_ids_join_what_differs_in_space_and_case_only() -> None:
    ids = normalised_ids(Vocabulary.from_tokens(WORDS, [SPECIAL]))
    for a in range(len(WORDS)):
        for b in range(len(WORDS)):
            same = a == b or (SPECIAL not in (a, b) and equal_up_to_space_and_case(WORDS[a], WORDS[b]))
            assert (ids[a] == ids[b]) == same, (WORDS[a], WORDS[b])
    assert ids[SPECIAL] == SPECIAL
    assert (ids <= np.arange(len(WORDS))).all()


def test_fuzzy_prefixes_are_exact_ones_over_normalised_ids() -> None:
    ids = normalised_ids(Vocabulary.from_tokens(WORDS, [SPECIAL]))
    tokens = np.array([[SPECIAL, 1, 7, 10, 2, 8]])
    at = (np.zeros(1, dtype=np.int64), np.array([5]), np.array([3]), SPECIAL)
    assert prefix_lengths(tokens, *at).tolist() == [0]
    assert prefix_lengths(ids[tokens], *at).tolist() == [2]


def slow_evidence(
    tokens: np.ndarray, dest: int, source: int, prefix: tuple[int, int], promoted: set[int]
) -> dict[str, bool]:
    if source == NO_SOURCE:
        return dict.fromkeys(KINDS, False)
    return {
        "previous_token": source == dest - 1,
        "same_token": source < dest and tokens[source] == tokens[dest],
        "induction": prefix[0] >= 1,
        "induction_fuzzy": prefix[1] >= 1,
        "bos": tokens[source] == BOS,
        "copying": int(tokens[source]) in promoted,
    }


def test_evidence_is_the_slow_loop() -> None:
    rng = np.random.default_rng(0)
    n, heads, context = 40, 3, 12
    tokens = rng.integers(0, 6, (n, context)).astype(np.uint16)
    dest = rng.integers(0, context, n).astype(np.int32)
    source = (rng.random((n, heads)) * (dest[:, None] + 2)).astype(np.int16) - 1
    at = (np.arange(n)[:, None], dest[:, None], source, BOS)
    similar = np.where(tokens == 5, 4, tokens)  # two tokens that differ in letter case, say
    prefix = PrefixLengths(prefix_lengths(tokens, *at), prefix_lengths(similar, *at))
    counts = count_evidence(tokens, dest, source, prefix, {2, 3}, BOS)
    assert tuple(counts) == KINDS
    for head in range(heads):
        shown = [
            slow_evidence(
                tokens[e],
                int(dest[e]),
                int(source[e, head]),
                (int(prefix.exact[e, head]), int(prefix.fuzzy[e, head])),
                {2, 3},
            )
            for e in range(n)
        ]
        assert counts["induction"][head] < counts["induction_fuzzy"][head]
        for kind in KINDS:
            assert counts[kind][head] == sum(one[kind] for one in shown), kind
            assert 0 < counts[kind][head] < n


def test_no_source_and_no_examples_show_nothing() -> None:
    tokens = np.array([[5, 5, 5]])
    # A promoted last token must not be read through the index -1, nor position -1 count as the one before 0.
    zero, none = np.array([[0]]), np.zeros((0, 2), dtype=np.int16)
    counts = count_evidence(tokens, np.array([0]), np.array([[NO_SOURCE]]), PrefixLengths(zero, zero), {5}, 5)
    assert all(count.tolist() == [0] for count in counts.values())
    counts = count_evidence(tokens[:0], np.zeros(0, dtype=np.int32), none, PrefixLengths(none, none), {5}, 5)
    assert all(count.tolist() == [0, 0] for count in counts.values())
