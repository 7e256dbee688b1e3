"""Pick the examples of each group from its pool, no two alike, each with how many places it stands for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from app.adapters.corpora import Corpus
from app.domain.records import ExampleGroup
from app.domain.tokens import Vocabulary
from app.domain.windows import CHARACTERS_AFTER, CHARACTERS_BEFORE
from app.statistics.alike_texts import NOTHING, DistinctTexts, distinct_texts, text_keys
from app.statistics.arrays import Ints, distinct, places
from app.statistics.token_groups import TokenGroup

# Of the text that a page shows around an example, the nearest tokens, by which texts are compared.
PLACES_BEFORE, PLACES_AFTER = 24, 16
_SEQUENCES_AT_ONCE = 2048
_UNITS_AT_ONCE = 128  # features or heads whose pools are compared together
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class DistinctGroup:
    """The examples of a group, and the texts of its pool that each of them stands for."""

    group: TokenGroup
    token_index: Ints
    text: Ints  # keys of the texts of the pool that are shown, or are alike to one that is
    stands_in: Ints  # for each of them, the place of that example in token_index

    @property
    def lower(self) -> float:
        """The smallest value of the group; of the strongest, that of the last that is shown."""
        if self.group.name != "top":
            return self.group.lower
        pool = self.group.kept
        return float(pool.activation[pool.token_index == self.token_index[-1]][0])

    @property
    def n_tokens(self) -> int:
        """Tokens of the corpus in the group; of the strongest, those that are shown."""
        return len(self.token_index) if self.group.name == "top" else self.group.n_tokens


class DistinctExamples:
    """Picks examples of one run, n_top of the strongest and n_interval of each interval.

    It reads the corpus and the width of tokens as pages draw them.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, n_top: int, n_interval: int) -> None:
        self._tokens = corpus.tokens
        self._vocabulary = vocabulary
        self._width = np.full(len(vocabulary), _UNKNOWN, np.int64)  # of each token as drawn, once it was met
        self._n_top, self._n_interval = n_top, n_interval

    def groups(self, pools: Iterable[Sequence[TokenGroup]]) -> list[tuple[DistinctGroup, ...]]:
        """The groups of many units (features, heads), each with the examples that are shown of it."""
        waiting, picked = iter(pools), list[tuple[DistinctGroup, ...]]()
        while part := list(islice(waiting, _UNITS_AT_ONCE)):
            groups = iter(self._picked([group for of_unit in part for group in of_unit]))
            picked += [tuple(islice(groups, len(of_unit))) for of_unit in part]
        return picked

    def _picked(self, groups: Sequence[TokenGroup]) -> list[DistinctGroup]:
        if not groups:
            return []
        lengths = [len(group.kept.key) for group in groups]
        n_wanted = [self._n_top if group.name == "top" else self._n_interval for group in groups]
        windows = self._windows(np.concatenate([group.token_index for group in groups]))
        return [
            _shown(*pair) for pair in zip(groups, distinct_texts(windows, lengths, n_wanted), strict=True)
        ]

    def _windows(self, token_index: Ints) -> NDArray[np.int64]:
        """The tokens that pages show around each token, [n places], NOTHING where they show none."""
        context = self._tokens.shape[1]
        sequence, position = np.divmod(token_index, context)
        at = position[:, None] + np.arange(-PLACES_BEFORE + 1, PLACES_AFTER + 1)
        inside = (at >= 0) & (at < context)
        tokens = self._tokens[sequence[:, None], at.clip(0, context - 1)].astype(np.int64)
        width = np.where(inside, self._drawn_widths(tokens), 0)
        before, after = width[:, PLACES_BEFORE - 1 :: -1], width[:, PLACES_BEFORE:]
        shown_before = (before.cumsum(axis=1) - before < CHARACTERS_BEFORE)[:, ::-1]
        shown_after = after.cumsum(axis=1) - after < CHARACTERS_AFTER
        shown = np.concatenate([shown_before, shown_after], axis=1)
        return np.where(shown & inside, tokens, NOTHING)

    def _drawn_widths(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        width = self._width[tokens]
        if (width == _UNKNOWN).any():
            for token in np.unique(tokens[width == _UNKNOWN]).tolist():
                self._width[token] = sum(len(part.text) for part in self._vocabulary.view(token).parts)
            width = self._width[tokens]
        return width


def _shown(group: TokenGroup, picked: DistinctTexts) -> DistinctGroup:
    is_alike = picked.stands_in >= 0
    text, stands_in = group.kept.text[is_alike], picked.stands_in[is_alike]
    return DistinctGroup(group, group.token_index[picked.chosen], text, stands_in)


@dataclass(frozen=True, eq=False)
class TextCounts:
    """How often some texts are in the corpus, at positions that count."""

    text: Ints  # ascending
    n: Ints

    @classmethod
    def of(cls, corpus: Corpus, groups: Sequence[DistinctGroup]) -> "TextCounts":
        """The counts of all texts that examples of these groups stand for, in one pass over the corpus."""
        keys = [np.zeros(0, np.int64), *(group.text for group in groups)]
        text = distinct(np.concatenate(keys))
        n = np.zeros(len(text), np.int64)
        for start in range(0, corpus.n_sequences, _SEQUENCES_AT_ONCE):
            stop = start + _SEQUENCES_AT_ONCE
            keys_here = text_keys(np.asarray(corpus.tokens[start:stop]))[corpus.counted(start, stop)]
            place = places(keys_here, text)
            n += np.bincount(place[place >= 0], minlength=len(text))
        return cls(text, n)

    def alike(self, groups: Sequence[DistinctGroup]) -> Ints:
        """For each example of the groups, how many places of the corpus it stands for, its own among them."""
        if not groups:
            return np.zeros(0, np.int64)
        n_examples = [len(group.token_index) for group in groups]
        first = np.cumsum([0, *n_examples[:-1]])
        example = np.concatenate([group.stands_in + n for group, n in zip(groups, first, strict=True)])
        n = self.n[places(np.concatenate([group.text for group in groups]), self.text)]
        return np.bincount(example, n, minlength=sum(n_examples)).astype(np.int64)


def example_groups(groups: Sequence[DistinctGroup], n_in_all: int) -> tuple[ExampleGroup, ...]:
    """The groups as the store keeps them, one after the other. n_in_all: tokens that shares are of."""
    records: list[ExampleGroup] = []
    start = 0
    for each in groups:
        stop, group = start + len(each.token_index), each.group
        share = each.n_tokens / max(n_in_all, 1)
        records.append(
            ExampleGroup(
                group.name, each.lower, group.upper, each.n_tokens, share, start, stop, len(group.token_index)
            )
        )
        start = stop
    return tuple(records)
