"""Which examples a list shows, by loops over the corpus: the texts they share, the pool, and what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.domain.records import ExampleGroup, FeatureRecord
from app.domain.tokens import Vocabulary
from app.services.examples.texts import make_window

Text = tuple[int | None, ...]


@dataclass(frozen=True)
class SlowCorpus:
    """The sequences of a run, and how pages draw them. A token's index is sequence * context + position."""

    tokens: np.ndarray
    vocabulary: Vocabulary
    bos: int
    windows: dict[int, dict[int, int]] = field(default_factory=dict[int, dict[int, int]])

    def at(self, token: int, offset: int) -> int | None:
        sequence, position = divmod(token, self.tokens.shape[1])
        place = position + offset
        return int(self.tokens[sequence, place]) if 0 <= place < self.tokens.shape[1] else None

    def text(self, token: int) -> Text:
        """Five tokens up to and with this one, and the one after."""
        return tuple(self.at(token, offset) for offset in range(-4, 2))

    def shown(self, token: int) -> dict[int, int]:
        """The tokens that a page shows around this one, by how far from it they are; 24 before and 16 after at most."""
        if token not in self.windows:
            self.windows[token] = self._window(token)
        return self.windows[token]

    def _window(self, token: int) -> dict[int, int]:
        sequence, position = divmod(token, self.tokens.shape[1])
        views = self.vocabulary.sequence_views(self.tokens[sequence].tolist())
        window = make_window(views, position + 1, {}, 0)
        before = {-i: cell.token_id for i, cell in enumerate(reversed(window.before))}
        after = {i + 1: cell.token_id for i, cell in enumerate(window.after)}
        return {offset: each for offset, each in (before | after).items() if -24 < offset <= 16}

    def n_different(self, a: int, b: int) -> int:
        mine, theirs = self.shown(a), self.shown(b)
        return sum(mine[offset] != theirs[offset] for offset in mine.keys() & theirs.keys())

    def pool(self, ordered: Sequence[int], size: int) -> list[int]:
        """The first tokens of different texts."""
        seen: dict[Text, int] = {}
        for token in ordered:
            seen.setdefault(self.text(token), token)
        return list(seen.values())[:size]

    def listed(self, pool: Sequence[int], n: int) -> dict[int, list[int]]:
        """The first n of the pool that differ in three places from all before, each with those it stands for."""
        groups: dict[int, list[int]] = {}
        for token in pool:
            like = [chosen for chosen in groups if self.n_different(chosen, token) < 3]
            if like:
                groups[like[0]].append(token)
            elif len(groups) < n:
                groups[token] = [token]
        return groups

    def n_alike(self, tokens: Sequence[int]) -> int:
        """The counted positions of the corpus with the text of one of these tokens."""
        context, texts = self.tokens.shape[1], {self.text(token) for token in tokens}
        return sum(
            self.text(index) in texts
            for index in range(self.tokens.size)
            if index % context and self.tokens[divmod(index, context)] != self.bos
        )


def check_list(
    feature: FeatureRecord,
    group: ExampleGroup,
    ordered: list[int],
    n_pool: int,
    n_shown: int,
    corpus: SlowCorpus,
) -> None:
    """The list is that of a slow loop over all of its tokens, in order, and so is what each example stands for."""
    examples = feature.examples
    assert examples is not None
    assert examples.n_alike is not None
    part = slice(group.start, group.stop)
    pool = corpus.pool(ordered, n_pool)
    listed = corpus.listed(pool, n_shown)
    stored = examples.sequence.astype(int) * corpus.tokens.shape[1] + examples.position
    assert stored[part].tolist() == list(listed)
    assert group.n_pool == len(pool)
    assert examples.n_alike[part].tolist() == [corpus.n_alike(stands_for) for stands_for in listed.values()]
