"""Head scores: names, display order, and ranks among all heads."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from app.domain.records import HeadRecord
from app.domain.refs import HeadRef

CONCENTRATION = "concentration"
# What a newcomer looks for first leads; other scores follow by name.
LEADING_SCORES = ("induction", "previous_token", "duplicate_token", "copying", CONCENTRATION)

# Attention scores that name a behaviour.
TELLING_SCORES = ("induction", "previous_token", "duplicate_token")


@dataclass(frozen=True)
class ScoreRank:
    """One head's score among all heads of the model."""

    name: Annotated[str, "The score"]
    value: Annotated[float, "Its value"]
    place: Annotated[int, "Place among all heads, 1 being the largest value"]
    values: Annotated[tuple[float, ...], "The values of all heads, in order of layer and head"]


def all_scores(head: HeadRecord) -> dict[str, float]:
    """The head's scores, including its concentration if the layer has an SAE."""
    if head.concentration is None:
        return head.scores
    return {**head.scores, CONCENTRATION: head.concentration}


def strongest_telling(head: HeadRecord) -> tuple[float, str] | None:
    """The largest of the head's TELLING_SCORES, and its name; None if it has none of them."""
    scores = all_scores(head)
    return max(
        ((scores[name], name) for name in TELLING_SCORES if math.isfinite(scores.get(name, math.nan))),
        default=None,
    )


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of scores in the order in which pages show them."""
    distinct = set(names)
    leading = [name for name in LEADING_SCORES if name in distinct]
    return (*leading, *sorted(distinct.difference(leading)))


def score_names(heads: Iterable[HeadRecord]) -> tuple[str, ...]:
    """Every score that any of the heads has, in the order in which pages show them."""
    return in_order(name for head in heads for name in all_scores(head))


def score_ranks(heads: Sequence[HeadRecord], ref: HeadRef) -> tuple[ScoreRank, ...]:
    tables = {head.ref: all_scores(head) for head in heads}
    ranks: list[ScoreRank] = []
    for name in in_order(tables[ref]):
        value = tables[ref][name]
        values = tuple(scores[name] for scores in tables.values() if name in scores)
        rank = 1 + sum(other > value for other in values if math.isfinite(other))
        ranks.append(ScoreRank(name, value, rank, values))
    return tuple(ranks)
