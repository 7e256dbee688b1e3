"""Reading the tables of search: features that fulfil several conditions at once, and words like a word."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Double, Integer, Select, and_, cast, exists, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.domain.refs import FeatureRef, HeadRef
from app.store.dashboards import LiveRun
from app.store.search_tables import FeatureEvidence, FeatureToken, FeatureWord


@dataclass(frozen=True)
class MovesToken:
    """The feature raises (sign 1) or lowers (-1) one of the tokens."""

    token_ids: tuple[int, ...]
    sign: int


@dataclass(frozen=True)
class FiresNear:
    """The word stands near where the feature fires."""

    word: str


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

    layers, heads: only features of these layers, and written by one of these heads; None for any.
    """
    first, *rest = conditions
    table, fulfilled, value = _parts(first)
    query: Select[Any, Any, Any, Any] = select(
        table.layer, table.feature_index, func.min(table.head), func.max(value).label("value")
    ).where(table.run_id == run.id, fulfilled)
    if layers is not None:
        query = query.where(table.layer.in_(sorted(layers)))
    if heads is not None:
        query = query.where(_written_by(table, heads))
    for condition in rest:
        query = query.where(_also(table, condition))
    query = query.group_by(table.layer, table.feature_index)
    query = query.order_by(func.max(value).desc(), table.layer, table.feature_index).limit(limit)
    return [
        FoundFeature(FeatureRef(layer, index), HeadRef(layer, head), float(found))
        for layer, index, head, found in session.execute(query)
    ]


def words_like(session: Session, run: LiveRun, beginning: str, limit: int) -> list[str]:
    """Words in the index that begin so, in order: one look at the index a word, however often each occurs."""
    found: list[str] = []
    after = beginning
    while len(found) < limit:
        nearest = select(func.min(FeatureWord.word)).where(
            FeatureWord.run_id == run.id, FeatureWord.word > after
        )
        word = session.scalar(nearest)
        if word is None or not word.startswith(beginning):
            break
        found.append(word)
        after = word
    return found


def _parts(condition: Condition) -> tuple[Any, ColumnElement[bool], ColumnElement[Any]]:
    """A table of its own for the condition, when a row of it fulfils the condition, and how far."""
    match condition:
        case MovesToken():
            tokens = aliased(FeatureToken)
            moved = and_(tokens.token_id.in_(condition.token_ids), tokens.sign == condition.sign)
            return tokens, moved, func.abs(tokens.logit)
        case FiresNear():
            words = aliased(FeatureWord)
            return words, and_(words.word == condition.word), cast(words.count, Integer)
        case ShowsEvidence():
            evidence = aliased(FeatureEvidence)
            share = evidence.share
            above = share > condition.at_least if condition.strictly else share >= condition.at_least
            return evidence, and_(evidence.kind == condition.kind, above), cast(share, Double)


def _also(outer: Any, condition: Condition) -> ColumnElement[bool]:
    table, fulfilled, _ = _parts(condition)
    return exists().where(
        table.run_id == outer.run_id,
        table.layer == outer.layer,
        table.feature_index == outer.feature_index,
        fulfilled,
    )


def _written_by(table: Any, heads: Collection[HeadRef]) -> ColumnElement[bool]:
    layers: dict[int, list[int]] = {}
    for head in sorted(heads):
        layers.setdefault(head.layer, []).append(head.head)
    return or_(false(), *(and_(table.layer == layer, table.head.in_(of)) for layer, of in layers.items()))
