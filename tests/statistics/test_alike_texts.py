"""Texts that repeat each other: keys that are equal where the tokens are, and lists without two alike."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.statistics.alike_texts import MIN_DIFFERENT, N_AFTER, N_BEFORE, NOTHING, distinct_texts, text_keys

sequences = st.lists(st.lists(st.integers(0, 2), min_size=9, max_size=9), min_size=1, max_size=6)
windows = st.lists(st.lists(st.integers(NOTHING, 1), min_size=6, max_size=6), max_size=14)


@given(sequences)
def test_keys_are_equal_where_the_tokens_around_are(drawn):
    tokens = np.array(drawn, np.int32)
    keys = text_keys(tokens)
    texts = {}
    for sequence, row in enumerate(drawn):
        padded = [None] * (N_BEFORE - 1) + row + [None] * N_AFTER
        for position in range(len(row)):
            texts[sequence, position] = tuple(padded[position : position + N_BEFORE + N_AFTER])
    assert len(set(texts.values())) == len(np.unique(keys))
    assert len({(text, int(keys[at])) for at, text in texts.items()}) == len(set(texts.values()))


@given(sequences)
def test_a_key_depends_on_its_own_sequence_alone(drawn):
    whole = text_keys(np.array(drawn))
    for row, keys in zip(drawn, whole, strict=True):
        assert text_keys(np.array([row]))[0].tolist() == keys.tolist()


def n_different(a: list[int], b: list[int]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True) if NOTHING not in (x, y))


@given(st.lists(st.tuples(windows, st.integers(1, 5)), max_size=4))
def test_lists_equal_a_slow_loop_and_have_no_two_alike(lists):
    every = [window for drawn, _ in lists for window in drawn]
    lengths, wanted = [len(drawn) for drawn, _ in lists], [n for _, n in lists]
    picked = distinct_texts(np.array(every, np.int64).reshape(len(every), 6), lengths, wanted)
    assert len(picked) == len(lists)
    for (drawn, n_wanted), of_list in zip(lists, picked, strict=True):
        expected, chosen = slow_choice(drawn, n_wanted)
        assert of_list.stands_in.tolist() == expected
        assert of_list.chosen.tolist() == chosen
        if len(chosen) < n_wanted:
            assert (of_list.stands_in >= 0).all()  # no more: all others are alike to one that is listed


def slow_choice(drawn: list[list[int]], n_wanted: int) -> tuple[list[int], list[int]]:
    """What each candidate stands in for, and the chosen candidates, by a loop over both."""
    stands_in: list[int] = []
    chosen: list[int] = []
    for i, window in enumerate(drawn):
        like = [n for n, j in enumerate(chosen) if n_different(drawn[j], window) < MIN_DIFFERENT]
        stands_in.append(like[0] if like else len(chosen) if len(chosen) < n_wanted else -1)
        if not like and len(chosen) < n_wanted:
            chosen.append(i)
    return stands_in, chosen


def test_a_list_is_chosen_as_if_it_were_alone():
    generator = np.random.default_rng(0)
    windows = generator.integers(NOTHING, 3, (4000, 6))
    lengths = [700, 3, 0, 700, 3, 2594]  # pieces of several sizes, some of them compared together
    together = distinct_texts(windows, lengths, [20] * 6)
    stops = np.cumsum(lengths)
    for n, stop, picked in zip(lengths, stops, together, strict=True):
        (alone,) = distinct_texts(windows[stop - n : stop], [n], [20])
        assert picked.chosen.tolist() == alone.chosen.tolist()
        assert picked.stands_in.tolist() == alone.stands_in.tolist()
