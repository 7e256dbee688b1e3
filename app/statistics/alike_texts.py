"""Which texts repeat each other: equal tokens around a destination, and how far two texts around theirs differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.statistics.arrays import AnyArray, Ints

N_BEFORE, N_AFTER = (
    5,
    1,
)  # tokens up to and with the destination, and after it, whose equality makes texts equal
MIN_DIFFERENT = 3  # places in which two texts that are shown in one list differ at least
_PAIRS_AT_ONCE = 2**16  # that are compared, so that what is compared stays in a processor's cache
NOTHING = -1  # in a window: beyond the text, or more than a page shows


def text_keys(tokens: AnyArray) -> Ints:
    """For each position of sequences [sequences context] a number that is equal where the tokens around it are.

    It mixes N_BEFORE tokens up to and with the position and N_AFTER after it, by steps of SplitMix64 (Steele et al.
    2014). Beyond the ends of a sequence there is nothing, which equals nothing alone.
    """
    n_sequences, context = tokens.shape
    padded = np.full((n_sequences, context + N_BEFORE - 1 + N_AFTER), NOTHING, np.int64)
    padded[:, N_BEFORE - 1 : N_BEFORE - 1 + context] = tokens
    key = np.zeros((n_sequences, context), np.uint64)
    for offset in range(N_BEFORE + N_AFTER):
        at = padded[:, offset : offset + context].astype(np.uint64)
        key = (key ^ at) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(31)
    return key.view(np.int64)


@dataclass(frozen=True)
class DistinctTexts:
    """Some texts of a list of candidates, no two of which are alike."""

    chosen: Ints  # places among the candidates, ascending
    stands_in: Ints  # for each candidate, which of the chosen it is or is alike to; -1: neither


def distinct_texts(
    windows: NDArray[np.integer], n_candidates: Sequence[int], n_wanted: Sequence[int]
) -> list[DistinctTexts]:
    """Choose from each of many lists the first n_wanted windows, in their order, that differ from all chosen before.

    windows: [candidates of all lists, places], one list of n_candidates after the other. Two windows differ in the
    places where both have a token and not the same; those that differ in fewer than MIN_DIFFERENT are alike. A
    candidate that is not chosen counts for the first of the chosen that it is alike to.
    """
    lengths: Ints = np.asarray(n_candidates, np.int64)
    first: Ints = np.cumsum(lengths) - lengths
    alike: dict[int, AnyArray] = {}
    for n in sorted(set(n_candidates)):
        lists = np.flatnonzero(lengths == n)
        at_once = max(1, _PAIRS_AT_ONCE // max(n * n, 1))
        for start in range(0, len(lists), at_once):
            part = lists[start : start + at_once]
            rows: Ints = np.add.outer(first[part], np.arange(n))
            alike |= dict(zip(part.tolist(), _alike(windows[rows]), strict=True))
    return [_chosen(alike[i], n) for i, n in enumerate(n_wanted)]


def _alike(windows: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which candidates are alike, themselves included: [list candidate candidate] of [list candidate place]."""
    n_lists, n, n_places = windows.shape
    n_different = np.zeros((n_lists, n, n), np.uint8 if n_places < 256 else np.int64)
    for place in range(n_places):
        token = np.ascontiguousarray(windows[:, :, place])
        there = token != NOTHING
        differs = token[:, :, None] != token[:, None]
        differs &= there[:, :, None]
        differs &= there[:, None]
        n_different += differs
    return n_different < MIN_DIFFERENT


def _chosen(alike: NDArray[np.bool_], n_wanted: int) -> DistinctTexts:
    """The list's choice. alike: [candidate candidate]."""
    n = len(alike)
    if np.count_nonzero(alike) == n:  # each is alike to itself alone
        everyone = np.arange(n)
        return DistinctTexts(everyone[:n_wanted], np.where(everyone < n_wanted, everyone, -1))
    later, before = np.nonzero(np.tril(alike, -1))
    earlier: dict[int, list[int]] = {}  # the candidates before each that are alike to it
    for candidate, other in zip(later.tolist(), before.tolist(), strict=True):
        earlier.setdefault(candidate, []).append(other)
    place: dict[int, int] = {}  # of each chosen candidate among the chosen
    stands_in: list[int] = []
    for candidate in range(n):
        same = next((place[other] for other in earlier.get(candidate, ()) if other in place), None)
        if same is None and len(place) < n_wanted:
            same = place[candidate] = len(place)
        stands_in.append(-1 if same is None else same)
    return DistinctTexts(np.array(list(place), np.int64), np.array(stands_in, np.int64))
