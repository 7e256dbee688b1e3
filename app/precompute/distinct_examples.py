"""Pick the examples of each group from its pool, no two alike, each with how many places it stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.adapters.corpora import Corpus
from app.domain.records import ExampleGroup
from app.domain.tokens import Vocabulary
from app.domain.windows import CHARACTERS_AFTER, CHARACTERS_BEFORE
from app.statistics.alike_texts import NOTHING, distinct_texts, text_keys
from app.statistics.arrays import Ints, distinct, places
from app.statistics.token_groups import TokenGroup

# Of the text that a page shows around an example, the nearest tokens, by which texts are compared.
PLACES_BEFORE, PLACES_AFTER = 24, 16
_SEQUENCES_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class DistinctGroup:
    """The examples of a group, and the texts of its pool that each of them stands for."""

    group: TokenGroup
    token_index: Ints
    texts: tuple[Ints, ...]  # keys of its own text and of those of the pool that are alike to it

    @property
    def lower(self) -> float:
        """The smallest value of the group; of the strongest, that of the last that is shown."""
        if self.group.name != "top":
            return self.group.lower
        kept = self.group.kept
        return float(kept.activation[kept.token_index == self.token_index[-1]][0])

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
        self._widths: dict[int, int] = {}
        self._n_top, self._n_interval = n_top, n_interval

    def groups(self, stored: Sequence[TokenGroup]) -> tuple[DistinctGroup, ...]:
        """The groups with the examples that are shown of them, in the order of the pool."""
        return tuple(self._picked(group) for group in stored)

    def _picked(self, group: TokenGroup) -> DistinctGroup:
        n_wanted = self._n_top if group.name == "top" else self._n_interval
        picked = distinct_texts(self._windows(group.token_index), n_wanted)
        texts = tuple(group.kept.text[picked.stands_in == place] for place in range(len(picked.chosen)))
        return DistinctGroup(group, group.token_index[picked.chosen], texts)

    def _windows(self, token_index: Ints) -> NDArray[np.int64]:
        """The tokens that pages show around each token, [n places], NOTHING where they show none."""
        context = self._tokens.shape[1]
        sequence, position = np.divmod(token_index, context)
        offset = np.arange(-PLACES_BEFORE + 1, PLACES_AFTER + 1)
        at = position[:, None] + offset
        inside = (at >= 0) & (at < context)
        tokens = np.where(inside, self._tokens[sequence[:, None], at.clip(0, context - 1)], NOTHING).astype(
            np.int64
        )
        width = self._drawn_widths(tokens)
        before, after = width[:, PLACES_BEFORE - 1 :: -1], width[:, PLACES_BEFORE:]
        shown_before = (before.cumsum(axis=1) - before < CHARACTERS_BEFORE)[:, ::-1]
        shown_after = after.cumsum(axis=1) - after < CHARACTERS_AFTER
        return np.where(np.concatenate([shown_before, shown_after], axis=1), tokens, NOTHING)

    def _drawn_widths(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        values, place = np.unique(tokens, return_inverse=True)
        for token in values.tolist():
            if token not in self._widths:
                view = None if token == NOTHING else self._vocabulary.view(token)
                self._widths[token] = sum(len(part.text) for part in view.parts) if view else 0
        return np.array([self._widths[token] for token in values.tolist()], np.int64)[place].reshape(
            tokens.shape
        )


@dataclass(frozen=True, eq=False)
class TextCounts:
    """How often some texts are in the corpus, at positions that count."""

    text: Ints  # ascending
    n: Ints

    @classmethod
    def of(cls, corpus: Corpus, groups: Sequence[DistinctGroup]) -> "TextCounts":
        """The counts of all texts that examples of these groups stand for, in one pass over the corpus."""
        keys = [np.zeros(0, np.int64), *(part for group in groups for part in group.texts)]
        text = distinct(np.concatenate(keys))
        n = np.zeros(len(text), np.int64)
        for start in range(0, corpus.n_sequences, _SEQUENCES_AT_ONCE):
            stop = start + _SEQUENCES_AT_ONCE
            found = text_keys(np.asarray(corpus.tokens[start:stop]))[corpus.counted(start, stop)]
            place = places(found, text)
            n += np.bincount(place[place >= 0], minlength=len(text))
        return cls(text, n)

    def alike(self, group: DistinctGroup) -> Ints:
        """For each example of the group, how many places of the corpus it stands for, its own among them."""
        return np.array([self.n[places(part, self.text)].sum() for part in group.texts], np.int64)


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
