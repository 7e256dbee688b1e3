"""What search finds a feature by: the tokens it moves, the words it fires near, the behaviour of its heads."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.records import FeatureRecord, TokenLogits
from app.domain.tokens import Vocabulary
from app.store.database.inserts import insert_rows
from app.store.tables.atlas import SequenceRow
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow

# What a whole dictionary can afford: some sixty rows per feature.
N_TOKENS = 10
N_WORDS = 24
N_EXAMPLES = 10
TOKENS_BEFORE, TOKENS_AFTER = 8, 4
MAX_WORD = 40
_WORD = re.compile(r"[^\W_]{2,}")


def words_of(text: str) -> list[str]:
    """The words that a text is found by: lower case, letters and digits, two characters and more."""
    return [word[:MAX_WORD] for word in _WORD.findall(text.lower().replace("\ufffd", " "))]


def index_features(
    session: Session, run_id: int, features: Sequence[FeatureRecord], vocabulary: Vocabulary | None
) -> None:
    """Add the search rows of features: tokens, evidence, and words where there is a vocabulary.

    Words need the run's sequences in the store.
    """
    insert_rows(
        session, FeatureTokenRow, (row for feature in features for row in _token_rows(run_id, feature))
    )
    insert_rows(
        session, FeatureEvidenceRow, (row for feature in features for row in _evidence_rows(run_id, feature))
    )
    if vocabulary is not None:
        tokens = _sequences(session, run_id, features)
        insert_rows(
            session,
            FeatureWordRow,
            (row for feature in features for row in _word_rows(run_id, feature, tokens, vocabulary)),
        )


def _token_rows(run_id: int, feature: FeatureRecord) -> Iterable[dict[str, object]]:
    sides: tuple[tuple[int, TokenLogits], ...] = ((1, feature.promoted), (-1, feature.suppressed))
    for sign, logits in sides:
        logit_of: dict[int, float] = {}
        for token_id, logit in zip(logits.token_id[:N_TOKENS], logits.logit[:N_TOKENS], strict=True):
            logit_of.setdefault(int(token_id), float(logit))
        for rank, (token_id, logit) in enumerate(logit_of.items(), 1):
            yield {
                **_key(run_id, feature),
                "head": feature.largest_head.head,
                "token_id": token_id,
                "sign": sign,
                "rank": rank,
                "logit": logit,
            }


def _evidence_rows(run_id: int, feature: FeatureRecord) -> Iterable[dict[str, object]]:
    """Rows of heads with at least an even part of the decoder row; others write too little to be asked about."""
    n = feature.evidence.n_examples
    shares = feature.decoder_weight_share
    for head in np.flatnonzero(shares >= 1 / len(shares)) if n else ():
        for kind, counts in feature.evidence.counts.items():
            if counts[head] > 0:
                yield {
                    **_key(run_id, feature),
                    "head": int(head),
                    "kind": kind,
                    "share": float(counts[head] / n),
                }


def _word_rows(
    run_id: int, feature: FeatureRecord, tokens: Mapping[int, NDArray[np.int32]], vocabulary: Vocabulary
) -> Iterable[dict[str, object]]:
    if feature.examples is None:
        return
    counts: Counter[str] = Counter()
    for index in range(min(N_EXAMPLES, len(feature.examples))):
        at = int(feature.examples.position[index])
        row = tokens[int(feature.examples.sequence[index])]
        window = [int(token) for token in row[max(0, at - TOKENS_BEFORE + 1) : at + TOKENS_AFTER + 1]]
        plain = [token for token in window if token not in vocabulary.special_ids]
        counts.update(dict.fromkeys(words_of(vocabulary.plain_text(plain)), 1))
    # Equal counts stay in the order of the examples, the strongest first.
    for word, count in counts.most_common(N_WORDS):
        yield {**_key(run_id, feature), "head": feature.largest_head.head, "word": word, "count": count}


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


def _key(run_id: int, feature: FeatureRecord) -> dict[str, object]:
    return {"run_id": run_id, "layer": feature.ref.layer, "feature_index": feature.ref.index}
