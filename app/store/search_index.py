"""What search finds a feature by: the tokens it moves, the words it fires near, the behaviour of its heads."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.records import Examples, FeatureRecord
from app.domain.tokens import Vocabulary
from app.store.database.inserts import insert_columns
from app.store.tables.atlas import SequenceRow
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow

# What a whole dictionary can afford: some sixty rows per feature.
N_TOKENS = 10
N_WORDS = 24
N_EXAMPLES = 10
TOKENS_BEFORE, TOKENS_AFTER = 8, 4
MAX_WORD = 40
_WORD = re.compile(r"[^\W_]{2,}")

_Columns = dict[str, list[Any]]


def words_of(text: str) -> list[str]:
    """The words that a text is found by: lower case, letters and digits, two characters and more."""
    return [word[:MAX_WORD] for word in _WORD.findall(text.lower().replace("\ufffd", " "))]


def index_features(
    session: Session, run_id: int, features: Sequence[FeatureRecord], vocabulary: Vocabulary | None
) -> None:
    """Add the search rows of features: tokens, evidence, and words where there is a vocabulary.

    Words need the run's sequences in the store.
    """
    heads = [feature.largest_head.head for feature in features]
    places, columns = _token_columns(features)
    columns = {**_keys(run_id, features, places), "head": [heads[place] for place in places], **columns}
    insert_columns(session, FeatureTokenRow, columns)
    places, columns = _evidence_columns(features)
    insert_columns(session, FeatureEvidenceRow, _keys(run_id, features, places) | columns)
    if vocabulary is not None:
        places, columns = _word_columns(features, _sequences(session, run_id, features), vocabulary)
        columns = {**_keys(run_id, features, places), "head": [heads[place] for place in places], **columns}
        insert_columns(session, FeatureWordRow, columns)


def _token_columns(features: Sequence[FeatureRecord]) -> tuple[list[int], _Columns]:
    """Which of the features each row is of, by its place among them, and the rows as columns."""
    places: list[int] = []
    columns: _Columns = {"token_id": [], "sign": [], "logit": []}
    for place, feature in enumerate(features):
        for sign, logits in ((1, feature.promoted), (-1, feature.suppressed)):
            ids, values = logits.token_id[:N_TOKENS].tolist(), logits.logit[:N_TOKENS].tolist()
            logit_of: dict[int, float] = {}
            for token_id, logit in zip(ids, values, strict=True):
                logit_of.setdefault(token_id, logit)
            places += [place] * len(logit_of)
            columns["token_id"] += logit_of
            columns["sign"] += [sign] * len(logit_of)
            columns["logit"] += logit_of.values()
    return places, columns


def _evidence_columns(features: Sequence[FeatureRecord]) -> tuple[list[int], _Columns]:
    """Likewise, of heads with at least an even part of the decoder row; others write too little to be asked about."""
    places: list[int] = []
    columns: _Columns = {"head": [], "kind": [], "share": []}
    for place, feature in enumerate(features):
        n, shares = feature.evidence.n_examples, feature.decoder_weight_share
        counts = {kind: of_kind.tolist() for kind, of_kind in feature.evidence.counts.items()}
        for head in np.flatnonzero(shares >= 1 / len(shares)).tolist() if n else ():
            kinds = [kind for kind, of_kind in counts.items() if of_kind[head] > 0]
            places += [place] * len(kinds)
            columns["head"] += [head] * len(kinds)
            columns["kind"] += kinds
            columns["share"] += [counts[kind][head] / n for kind in kinds]
    return places, columns


def _word_columns(
    features: Sequence[FeatureRecord], tokens: Mapping[int, NDArray[np.int32]], vocabulary: Vocabulary
) -> tuple[list[int], _Columns]:
    """Likewise, of the words near the firing tokens of the strongest examples."""
    places: list[int] = []
    columns: _Columns = {"word": [], "count": []}
    windows = [_windows(feature.examples, tokens, vocabulary.special_ids) for feature in features]
    texts = iter(vocabulary.plain_texts(chain.from_iterable(windows)))
    for place, of_feature in enumerate(windows):
        words_by_example = map(words_of, islice(texts, len(of_feature)))
        counts = Counter(chain.from_iterable(map(dict.fromkeys, words_by_example)))
        # Equal counts stay in the order of the examples, the strongest first.
        most_common = sorted(counts.items(), key=itemgetter(1), reverse=True)[:N_WORDS]
        places += [place] * len(most_common)
        columns["word"] += [word for word, _ in most_common]
        columns["count"] += [count for _, count in most_common]
    return places, columns


def _windows(
    examples: Examples | None, tokens: Mapping[int, NDArray[np.int32]], special_ids: frozenset[int]
) -> list[list[int]]:
    """The tokens about the firing token of each of the strongest examples, but for special ones."""
    if examples is None:
        return []
    windows: list[list[int]] = []
    sequences, positions = examples.sequence[:N_EXAMPLES].tolist(), examples.position[:N_EXAMPLES].tolist()
    for sequence, at in zip(sequences, positions, strict=True):
        window = tokens[sequence][max(0, at - TOKENS_BEFORE + 1) : at + TOKENS_AFTER + 1]
        windows.append([token for token in window.tolist() if token not in special_ids])
    return windows


def _sequences(
    session: Session, run_id: int, features: Sequence[FeatureRecord]
) -> dict[int, NDArray[np.int32]]:
    indices: set[int] = set()
    for feature in features:
        if feature.examples is not None:
            indices.update(int(index) for index in feature.examples.sequence[:N_EXAMPLES])
    rows = session.execute(
        select(SequenceRow.sequence_index, SequenceRow.token_ids).where(
            SequenceRow.run_id == run_id, SequenceRow.sequence_index.in_(sorted(indices))
        )
    )
    return {index: np.frombuffer(token_ids, "<i4") for index, token_ids in rows}


def _keys(run_id: int, features: Sequence[FeatureRecord], places: Sequence[int]) -> _Columns:
    layers = [feature.ref.layer for feature in features]
    indices = [feature.ref.index for feature in features]
    return {
        "run_id": [run_id] * len(places),
        "layer": [layers[place] for place in places],
        "feature_index": [indices[place] for place in places],
    }
