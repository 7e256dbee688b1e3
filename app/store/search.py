"""Reading the tables of search: features that fulfil several conditions at once, and words like a word."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from app.domain.refs import FeatureRef, HeadRef
from app.store.atlas.reads import LiveRun
from app.store.search_index import N_EXAMPLES
from app.store.tables.search import FeatureEvidenceRow, FeatureTokenRow, FeatureWordRow

_ROWS_PER_FEATURE = 4  # looked at first; evidence has a row for each head that shows it


@dataclass(frozen=True)
class MovesToken:
    """The feature raises (sign 1) or lowers (-1) one of the tokens."""

    token_ids: tuple[int, ...]
    sign: int


@dataclass(frozen=True)
class FiresNear:
    """The word stands near where the feature fires."""

    word: str
    count: int | None = None  # in exactly so many examples; None: in any number


@dataclass(frozen=True)
class ShowsEvidence:
    """The share of examples that show the behaviour through one of the feature's heads."""

    kind: str
    at_least: float
    strictly: bool


Condition = MovesToken | FiresNear | ShowsEvidence


@dataclass(frozen=True)
class FoundFeature:
    """A feature, one of its heads, and how far it fulfils the first condition."""

    feature: FeatureRef
    head: HeadRef
    value: float


def find_features(
    session: Session,
    run: LiveRun,
    conditions: Sequence[Condition],
    layers: Collection[int] | None,
    heads: Collection[HeadRef] | None,
    limit: int,
) -> list[FoundFeature]:
    """The features that fulfil all conditions, by how far they fulfil the first, ties by reference.

    layers, heads: only features of these layers, and written by one of these heads; None for any. Rows are read
    in the order of an index, so what a term has many of costs no more than what it has few of.
    """
    first, *rest = conditions
    best: dict[FeatureRef, FoundFeature] = {}
    for part in _stretches(first):
        for candidate in _best(session, run, part, rest, layers, heads, limit):
            best_yet = best.get(candidate.feature)
            if best_yet is None or candidate.value > best_yet.value:
                best[candidate.feature] = candidate
        if isinstance(first, FiresNear) and len(best) >= limit:  # the stretches go down
            break
    return sorted(best.values(), key=lambda candidate: (-candidate.value, candidate.feature))[:limit]


def _stretches(condition: Condition) -> Sequence[Condition]:
    """The parts of an index with rows in the order of the results: one for each token or number of examples."""
    match condition:
        case MovesToken():
            return [MovesToken((token_id,), condition.sign) for token_id in condition.token_ids]
        case FiresNear(count=None):
            return [FiresNear(condition.word, count) for count in range(N_EXAMPLES, 0, -1)]
        case FiresNear() | ShowsEvidence():
            return [condition]


def _best(
    session: Session,
    run: LiveRun,
    first: Condition,
    rest: Sequence[Condition],
    layers: Collection[int] | None,
    heads: Collection[HeadRef] | None,
    limit: int,
) -> Iterable[FoundFeature]:
    """The first `limit` features of one stretch of an index, each once, its best head first."""
    table, fulfilled, value = _parts(first)
    query: Select[Any, Any, Any, Any] = select(table.layer, table.feature_index, table.head, value)
    query = query.where(table.run_id == run.id, fulfilled)
    if layers is not None:
        query = query.where(table.layer.in_(sorted(layers)))
    if heads is not None:
        query = query.where(_written_by(table, heads))
    for condition in rest:
        query = query.where(_also(run, table, condition))
    size = value.asc() if isinstance(first, MovesToken) and first.sign < 0 else value.desc()
    query = query.order_by(size, table.layer, table.feature_index, table.head)
    n_rows, distinct = _ROWS_PER_FEATURE * limit, dict[FeatureRef, FoundFeature]()
    while True:  # a feature may have a row for each head
        rows = session.execute(query.limit(n_rows)).all()
        for layer, index, head, value in rows:
            ref = FeatureRef(layer, index)
            distinct.setdefault(ref, FoundFeature(ref, HeadRef(layer, head), abs(float(value))))
        if len(distinct) >= limit or len(rows) < n_rows:
            return list(distinct.values())[:limit]
        n_rows *= 8


def words_like(session: Session, run: LiveRun, beginning: str, limit: int) -> list[str]:
    """Words in the index that begin with a prefix, in order. Each takes one look-up, however frequent it is."""
    words: list[str] = []
    after = beginning
    while len(words) < limit:
        nearest = select(func.min(FeatureWordRow.word)).where(
            FeatureWordRow.run_id == run.id, FeatureWordRow.word > after
        )
        word = session.scalar(nearest)
        if word is None or not word.startswith(beginning):
            break
        words.append(word)
        after = word
    return words


def _parts(condition: Condition) -> tuple[Any, ColumnElement[bool], Any]:
    """The aliased table of a condition, the clause by which its rows fulfil it, and how far they do."""
    match condition:
        case MovesToken():
            tokens = aliased(FeatureTokenRow)
            moved = and_(tokens.token_id.in_(condition.token_ids), tokens.sign == condition.sign)
            return tokens, moved, tokens.logit
        case FiresNear():
            words = aliased(FeatureWordRow)
            counts = range(1, N_EXAMPLES + 1) if condition.count is None else [condition.count]
            return words, and_(words.word == condition.word, words.count.in_(counts)), words.count
        case ShowsEvidence():
            evidence = aliased(FeatureEvidenceRow)
            share = evidence.share
            above = share > condition.at_least if condition.strictly else share >= condition.at_least
            return evidence, and_(evidence.kind == condition.kind, above), share


def _also(run: LiveRun, outer: Any, condition: Condition) -> ColumnElement[bool]:
    """Whether the feature of a row of `outer` fulfils the condition, too."""
    table, fulfilled, _ = _parts(condition)
    if isinstance(condition, MovesToken):  # rows are by logit: those of the tokens are read once
        of_tokens = select(table.layer, table.feature_index).where(table.run_id == run.id, fulfilled)
        return tuple_(outer.layer, outer.feature_index).in_(of_tokens)
    return exists().where(
        table.run_id == run.id,
        table.layer == outer.layer,
        table.feature_index == outer.feature_index,
        fulfilled,
    )


def _written_by(table: Any, heads: Collection[HeadRef]) -> ColumnElement[bool]:
    layers: dict[int, list[int]] = {}
    for head in sorted(heads):
        layers.setdefault(head.layer, []).append(head.head)
    return or_(false(), *(and_(table.layer == layer, table.head.in_(of)) for layer, of in layers.items()))
