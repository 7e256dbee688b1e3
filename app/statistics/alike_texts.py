"""Which texts repeat each other: equal tokens around a destination, and how far two texts around theirs differ."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.statistics.arrays import AnyArray, Ints

N_BEFORE, N_AFTER = (
    5,
    1,
)  # tokens up to and with the destination, and after it, whose equality makes texts equal
MIN_DIFFERENT = 3  # places in which two texts that are shown in one list differ at least
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


def distinct_texts(windows: NDArray[np.integer], n_wanted: int) -> DistinctTexts:
    """The first n_wanted of the windows [candidates places], in their order, that differ from all chosen before.

    Two windows differ in the places where both have a token and not the same; those that differ in fewer than
    MIN_DIFFERENT are alike. A candidate that is not chosen counts for the first of the chosen that it is alike to.
    """
    there = windows != NOTHING
    differs = (windows[:, None] != windows[None]) & there[:, None] & there[None]
    alike = np.count_nonzero(differs, axis=2) < MIN_DIFFERENT
    if np.count_nonzero(alike) == len(windows):  # each is alike to itself alone
        chosen = np.arange(min(n_wanted, len(windows)))
        return DistinctTexts(
            chosen, np.where(np.arange(len(windows)) < n_wanted, np.arange(len(windows)), -1)
        )
    picked: list[int] = []
    stands_in = np.full(len(windows), -1, np.int64)
    for candidate in range(len(windows)):
        same = np.flatnonzero(alike[candidate, picked])
        if len(same):
            stands_in[candidate] = same[0]
        elif len(picked) < n_wanted:
            stands_in[candidate] = len(picked)
            picked.append(candidate)
    return DistinctTexts(np.array(picked, np.int64), stands_in)
