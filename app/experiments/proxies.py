"""Predicates that select target positions in ordinary text: where a behaviour would help to predict the token.

Proxies give messier results than synthetic tasks: they select too much and too little.
"""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.domain.tokens import Vocabulary

Mask = NDArray[np.bool_]
# Tokens [sequence pos] and their vocabulary to the tokens that are targets.
Predicate = Callable[[NDArray[np.int64], Vocabulary], Mask]


def by_induction(min_prefix: int) -> Predicate:
    """Tokens that follow an earlier copy of the min_prefix tokens before them, as they did there."""

    def select(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> Mask:
        return np.array([_follows_copy(row, min_prefix, vocabulary) for row in tokens])

    return select


def duplicates(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> Mask:
    """Tokens that occurred before, where induction would not have predicted them."""
    return np.array(
        [_follows_copy(row, 0, vocabulary) & ~_follows_copy(row, 1, vocabulary) for row in tokens]
    )


def matching(pattern: str) -> Predicate:
    """Tokens that overlap a match of a regular expression on the text: its group `target`, or all of it."""
    compiled = re.compile(pattern.encode())
    group = "target" if "target" in compiled.groupindex else 0

    def select(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> Mask:
        mask = np.zeros(tokens.shape, np.bool_)
        for row, ids in enumerate(tokens):
            data = [b"" if int(i) in vocabulary.special_ids else vocabulary.token_bytes(int(i)) for i in ids]
            ends = np.cumsum([len(part) for part in data])
            starts = ends - [len(part) for part in data]
            for match in compiled.finditer(b"".join(data)):
                first, last = match.span(group)
                mask[row] |= (starts < last) & (ends > first)
        return mask

    return select


PREDICATES: dict[str, Predicate] = {
    "induction": by_induction(1),
    "long-induction": by_induction(2),
    "duplicate-token": duplicates,
    "noun-digit": matching(r"\b([A-Za-z]+) (\d)\b[^\n]*?\b\1 (?P<target>\2)\b"),
    "url": matching(r"https?://[\w.-]+/(?P<target>[\w/.-]+)"),
}


def _follows_copy(row: NDArray[np.int64], min_prefix: int, vocabulary: Vocabulary) -> Mask:
    """Whether each token and the min_prefix tokens before it occurred earlier; the spans may not overlap."""
    n = len(row)
    special = np.isin(row, list(vocabulary.special_ids))
    equal = (row[:, None] == row[None, :]) & ~special[:, None]
    run = equal.copy()
    for back in range(1, min_prefix + 1):
        shifted = np.zeros_like(equal)
        shifted[back:, back:] = equal[: n - back, : n - back]
        run &= shifted
    return np.tril(run, -max(1, min_prefix)).any(axis=1)
