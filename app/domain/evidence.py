"""What a head reads for a feature: repeated prefixes, and counts of behaviours over its top examples."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.domain.tokens import Vocabulary

# What the top DFA source of an example can be evidence of. One source may be several at once.
KINDS = ("previous_token", "same_token", "induction", "induction_fuzzy", "bos", "copying")
NO_SOURCE = -1
NO_TOKEN = -1
LONG_PREFIX = 2  # a source whose prefix is so long, or longer, is not found by the last token alone


class PrefixLengths(NamedTuple):
    """Prefix lengths of the same examples and sources: exact ones over token ids, fuzzy ones over normalised_ids."""

    exact: NDArray[np.integer]
    fuzzy: NDArray[np.integer]


def normalised_ids(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """For each token id the lowest id equal to it up to one leading space and letter case.

    Prefix lengths over these ids are the fuzzy ones. Special tokens equal only themselves. Bytes that are not
    UTF-8 have no letter case.
    """
    first: dict[str | bytes, int] = {}
    ids = np.arange(len(vocabulary), dtype=np.int64)
    for token_id in range(len(vocabulary)):
        if token_id not in vocabulary.special_ids:
            data = vocabulary.token_bytes(token_id).removeprefix(b" ")
            try:
                key: str | bytes = data.decode().lower()
            except UnicodeDecodeError:
                key = data
            ids[token_id] = first.setdefault(key, token_id)
    return ids


def prefix_lengths(
    tokens: NDArray[np.integer],
    sequence: NDArray[np.integer],
    dest: NDArray[np.integer],
    source: NDArray[np.integer],
    bos_id: int,
) -> NDArray[np.int16]:
    """The largest n with tokens[dest - i] == tokens[source - 1 - i] for all i < n.

    So many tokens up to and with dest are the tokens just before source; n >= 1 is what an induction head
    looks for. tokens: [sequences context]. sequence (rows of tokens), dest and source broadcast against each
    other, and the result has their common shape. BOS matches nothing and ends the match; the two spans never
    overlap, so n is at most dest - source + 1. Sources at or below 0 or past dest have n = 0. For fuzzy
    lengths pass normalised_ids[tokens] (and normalised_ids[bos_id], which is bos_id).
    """
    row, end, start = (np.ravel(part) for part in np.broadcast_arrays(sequence, dest, source))
    n = np.zeros(end.shape, dtype=np.int16)
    # Neither span may leave the sequence or run into the other: n <= source and n <= dest - source + 1.
    longest = np.minimum(start, end - start + 1)
    alive = np.flatnonzero(longest > 0)
    i = 0
    while alive.size:
        now = tokens[row[alive], end[alive] - i]
        then = tokens[row[alive], start[alive] - 1 - i]
        alive = alive[(now == then) & (now != bos_id)]
        i += 1
        n[alive] = i
        alive = alive[longest[alive] > i]
    return n.reshape(np.broadcast_shapes(sequence.shape, dest.shape, source.shape))


def long_prefix_share(texts: Sequence[NDArray[np.integer]], bos_id: int) -> float:
    """How often what follows an earlier copy of a token has a long prefix by itself, whatever head reads it.

    The mean, over all tokens that have an earlier copy, of the share of LONG_PREFIX or more among the sources whose
    prefix_lengths is 1 or more. 0 where no token has a copy.
    """
    shares: list[NDArray[np.float64]] = []
    for tokens in texts:
        is_text = tokens != bos_id
        n_copies = _n_earlier(tokens)
        # Two spans of two tokens may not overlap: the pair just before, as in "a a a", is no source of its own.
        pairs = np.stack([tokens[:-1], tokens[1:]], 1)
        _, pair_ids = np.unique(pairs, axis=0, return_inverse=True)
        pair_ids = pair_ids.reshape(-1)
        touching = np.zeros(len(pair_ids), np.int64)
        touching[1:] = pair_ids[1:] == pair_ids[:-1]
        n_long = np.zeros(len(tokens), np.int64)
        n_long[1:] = np.where(is_text[:-1], _n_earlier(pair_ids) - touching, 0)
        copied = is_text & (n_copies > 0)
        shares.append(n_long[copied] / n_copies[copied])
    all_shares = np.concatenate([np.zeros(0), *shares])
    return float(all_shares.mean()) if len(all_shares) else 0.0


def _n_earlier(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """For each place, how many earlier places hold the same id."""
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.searchsorted(ordered, ordered)
    n_earlier = np.empty(len(ids), np.int64)
    n_earlier[order] = np.arange(len(ids)) - starts
    return n_earlier


def count_evidence(
    tokens: NDArray[np.integer],
    dest: NDArray[np.integer],
    source: NDArray[np.integer],
    prefix_length: PrefixLengths,
    promoted_ids: Collection[int],
    bos_id: int,
) -> dict[str, NDArray[np.int64]]:
    """How many examples of one feature show each of KINDS through each head, as [heads]; see `show_evidence`.

    promoted_ids: the tokens that the feature's own logits boost most.
    """
    promoted = np.array([list(promoted_ids)], np.int64)
    shown = show_evidence(tokens, dest, source, prefix_length, promoted, bos_id)
    return {kind: by_head.sum(axis=0, dtype=np.int64) for kind, by_head in shown.items()}


def show_evidence(
    tokens: NDArray[np.integer],
    dest: NDArray[np.integer],
    source: NDArray[np.integer],
    prefix_length: PrefixLengths,
    promoted_ids: NDArray[np.integer],
    bos_id: int,
) -> dict[str, NDArray[np.bool_]]:
    """Whether each of n examples shows each of KINDS through each head, as [n heads].

    tokens: [n context], each example's own sequence. dest: [n]. source and both of prefix_length: [n heads], of the
    top DFA source. promoted_ids: [n k] or [1 k], the tokens that the logits of each example's feature boost most;
    NO_TOKEN in unused places. previous_token: the source is the position before. same_token: an earlier copy of the
    token at dest. induction: the token before the source is the token at dest (exact prefix length at least
    1). induction_fuzzy: the same up to one leading space and letter case. bos: the source is a BOS token.
    copying: the source's token is among promoted_ids. A source of NO_SOURCE shows nothing.
    """
    has_source = source != NO_SOURCE
    at_source = np.take_along_axis(tokens, np.where(has_source, source, 0).astype(np.int64), axis=1)
    at_dest = np.take_along_axis(tokens, dest.astype(np.int64)[:, None], axis=1)
    by_kind = {
        "previous_token": source == dest[:, None] - 1,
        "same_token": (at_source == at_dest) & (source < dest[:, None]),
        "induction": prefix_length.exact >= 1,
        "induction_fuzzy": prefix_length.fuzzy >= 1,
        "bos": at_source == bos_id,
        "copying": (at_source[:, :, None] == promoted_ids[:, None]).any(axis=2),
    }
    return {kind: by_kind[kind] & has_source for kind in KINDS}
