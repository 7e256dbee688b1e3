"""Proxies: predicates that select tokens in ordinary text which a behaviour would help to predict.

They are noisier than synthetic tasks, for they select some wrong positions and miss some right ones.
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
    """A predicate for tokens that, together with the min_prefix tokens before them, occurred earlier."""

    def select(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> Mask:
        return np.array([_follows_copy(row, min_prefix, vocabulary) for row in tokens])

    return select


def duplicates(tokens: NDArray[np.int64], vocabulary: Vocabulary) -> Mask:
    """A predicate for tokens that occurred earlier, but never after the same token: no induction."""
    return np.array(
        [_follows_copy(row, 0, vocabulary) & ~_follows_copy(row, 1, vocabulary) for row in tokens]
    )


def matching(pattern: str) -> Predicate:
    """A predicate for tokens that overlap a match of a regular expression, or of its group `target`."""
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
    """Whether each token, with the min_prefix tokens before it, has an earlier separate copy: [pos]."""
    n = len(row)
    special = np.isin(row, list(vocabulary.special_ids))
    equal = (row[:, None] == row[None, :]) & ~special[:, None]
    run = equal.copy()
    for back in range(1, min_prefix + 1):
        shifted = np.zeros_like(equal)
        shifted[back:, back:] = equal[: n - back, : n - back]
        run &= shifted
    return np.tril(run, -max(1, min_prefix)).any(axis=1)
