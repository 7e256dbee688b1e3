"""The examples of features from the payloads of their layer, made for many features in one numpy step."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.adapters.corpora import Corpus
from app.domain.evidence import PrefixLengths, prefix_lengths, show_evidence
from app.domain.records import N_SOURCES, Evidence, Examples, SummedSources
from app.precompute.distinct_examples import DistinctGroup, TextCounts
from app.statistics.arrays import AnyArray, Ints
from app.statistics.payloads import Payloads

_SHOW_EVIDENCE = (
    "sequence",
    "position",
    "source",
    "prefix_length",
    "prefix_length_fuzzy",
)  # columns of Examples
Groups = Mapping[int, Sequence[DistinctGroup]]  # by feature


class ExampleMaker:
    """Makes the examples of one run's features. fuzzy_ids: [d_vocab], from `domain.evidence.normalised_ids`."""

    def __init__(self, corpus: Corpus, fuzzy_ids: NDArray[np.int64]) -> None:
        self._tokens = np.asarray(corpus.tokens)
        self._fuzzy_tokens = fuzzy_ids[self._tokens]
        self._bos = corpus.bos_token_id

    def of(self, payloads: Payloads, groups: Groups, counts: TextCounts, n_heads: int) -> list[Examples]:
        """The examples of each feature, in the order of its groups. Raises KeyError for one without a payload."""
        tokens = [_tokens_of(of_feature) for of_feature in groups.values()]
        lengths = np.array([len(part) for part in tokens], np.int64)
        context = self._tokens.shape[1]
        if not lengths.sum():
            return [_no_examples(n_heads, context) for _ in tokens]
        all_tokens, features = np.concatenate(tokens), np.repeat(list(groups), lengths)
        columns = self._columns(payloads.rows(features, all_tokens), all_tokens)
        columns["n_alike"] = counts.alike([group for of_feature in groups.values() for group in of_feature])
        stops = np.cumsum(lengths)
        return [
            _examples(columns, slice(stop - n, stop)) if n else _no_examples(n_heads, context)
            for n, stop in zip(lengths.tolist(), stops.tolist(), strict=True)
        ]

    def evidence(
        self, examples: Sequence[Examples], groups: Sequence[Sequence[DistinctGroup]], promoted: Ints
    ) -> list[Evidence]:
        """What the strongest examples of each feature show. promoted: [feature k], the tokens that it boosts."""
        n = np.array([len(of_feature[0].token_index) if of_feature else 0 for of_feature in groups], np.int64)
        sequence, position, source, exact, fuzzy = (_strongest(examples, n, name) for name in _SHOW_EVIDENCE)
        shown = show_evidence(
            self._tokens[sequence],
            position,
            source[:, :, 0],
            PrefixLengths(exact, fuzzy),
            promoted.repeat(n, axis=0),
            self._bos,
        )
        stop = n.cumsum()
        n_before = {kind: np.insert(by_head.cumsum(axis=0), 0, 0, axis=0) for kind, by_head in shown.items()}
        counts = {kind: before[stop] - before[stop - n] for kind, before in n_before.items()}
        return [
            Evidence(n_examples, {kind: by_feature[place] for kind, by_feature in counts.items()})
            for place, n_examples in enumerate(n.tolist())
        ]

    def _columns(self, rows: dict[str, AnyArray], token_index: Ints) -> dict[str, AnyArray]:
        """What the payloads hold, and what the corpus says of the same tokens."""
        sequence, position = np.divmod(token_index, self._tokens.shape[1])
        exact, fuzzy = self._prefixes(sequence, position, rows["source"][:, :, 0])
        summed_exact, summed_fuzzy = self._prefixes(sequence, position, rows["summed_source"][:, :1])
        return {
            **rows,
            "sequence": sequence.astype(np.int32),
            "position": position.astype(np.int32),
            "prefix_length": exact,
            "prefix_length_fuzzy": fuzzy,
            "summed_prefix_length": summed_exact[:, 0],
            "summed_prefix_length_fuzzy": summed_fuzzy[:, 0],
        }

    def _prefixes(
        self, sequence: Ints, position: Ints, source: NDArray[np.integer]
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Lengths of the exact and the fuzzy prefix: [n k] for sources [n k] of tokens [n]."""
        where = (sequence[:, None], position[:, None], source.astype(np.int64), self._bos)
        return prefix_lengths(self._tokens, *where), prefix_lengths(self._fuzzy_tokens, *where)


def _strongest(examples: Sequence[Examples], n: Ints, name: str) -> AnyArray:
    """A column of the first n examples of each feature, one after the other."""
    return np.concatenate([getattr(each, name)[:top] for each, top in zip(examples, n.tolist(), strict=True)])


def _tokens_of(groups: Sequence[DistinctGroup]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *(group.token_index for group in groups)])


def _examples(columns: Mapping[str, AnyArray], part: slice) -> Examples:
    """The examples of one feature: a part of the columns of many."""
    own = {name: column[part] for name, column in columns.items()}
    summed = {name.removeprefix("summed_"): own.pop(name) for name in columns if name.startswith("summed_")}
    return Examples(**own, summed=SummedSources(**summed))


def _no_examples(n_heads: int, context_size: int) -> Examples:
    """The empty examples of a dead feature."""
    by_head = np.zeros((0, n_heads), np.float32)
    numbers, none = np.zeros(0, np.float32), np.zeros(0, np.int16)
    return Examples(
        sequence=np.zeros(0, np.int32),
        position=np.zeros(0, np.int32),
        activation=numbers,
        pre_activation=numbers,
        bias=numbers,
        residual=numbers,
        head_contribution=by_head,
        source=np.zeros((0, n_heads, N_SOURCES), np.int16),
        dfa=np.zeros((0, n_heads, N_SOURCES), np.float32),
        dfa_rest=by_head,
        prefix_length=np.zeros((0, n_heads), np.int16),
        prefix_length_fuzzy=np.zeros((0, n_heads), np.int16),
        sequence_activations=np.zeros((0, context_size), np.float16),
        summed=SummedSources(
            np.zeros((0, N_SOURCES), np.int16), np.zeros((0, N_SOURCES), np.float32), numbers, none, none
        ),
        n_alike=np.zeros(0, np.int64),
    )
