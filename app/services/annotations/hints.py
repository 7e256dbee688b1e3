"""Suggestions of groups and roles from the evidence of a head's top features: counts, never a language model."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.domain.evidence import LONG_PREFIX
from app.domain.refs import FeatureRef
from app.services.examples.models import FeatureThroughHead

# A kind of evidence suggests a role where at least this share of at least so many examples shows it.
MIN_SHARE, MIN_EXAMPLES = 0.5, 5
# In order of precedence. Sources of induction hold the boosted token as well, so that copying comes last.
_ROLES = {
    "induction": "induction",
    "same_token": "duplicate token",
    "previous_token": "previous token",
    "copying": "copying",
}


@dataclass(frozen=True)
class FeatureSuggestion:
    """A group proposed for one feature: `count` of `total` top examples show it."""

    feature: FeatureRef
    group: str
    count: int
    total: int


@dataclass(frozen=True)
class RoleSuggestion:
    """A role proposed for the head: `count` of its `total` top features suggest it."""

    role: str
    count: int
    total: int


@dataclass(frozen=True)
class Suggestions:
    """Proposals with the counts behind them, strongest first."""

    features: tuple[FeatureSuggestion, ...] = ()
    roles: tuple[RoleSuggestion, ...] = ()


NO_SUGGESTIONS = Suggestions()


def suggest(features: Sequence[FeatureThroughHead], usual_long_share: Callable[[], float]) -> Suggestions:
    """Groups and roles suggested by the evidence of the head's top features.

    features: as the head's page shows them, in the same order. usual_long_share: how many of the sources with a
    prefix have a long one by chance, as a fraction; called only if this head's prefixes are mostly long.
    """
    features = without_sinks(features)
    kinds = [(row, kind) for row, kind in zip(features, _one_kind_each(features), strict=True) if kind]
    long = _is_long([row for row, kind in kinds if kind == "induction"], usual_long_share)
    suggestions = tuple(_suggestion(row, kind, long) for row, kind in kinds)
    roles = Counter(suggestion.group for suggestion in suggestions)
    return Suggestions(
        suggestions,
        tuple(
            RoleSuggestion(role, count, len(features))
            for role, count in roles.most_common()
            if count / len(features) >= MIN_SHARE
        ),
    )


def without_sinks(features: Sequence[FeatureThroughHead]) -> list[FeatureThroughHead]:
    """The features, with counts that leave out sources at a position that the head attends to whatever the text.

    Such a sink is one position of the text that holds the strongest source in half or more of all their top examples.
    Its sources count for no other kind of evidence. How many of them copy or repeat a token is not stored, so those
    counts are at most the number of the other sources.
    """
    examples = [example for row in features for example in row.examples[: row.evidence_n]]
    places = Counter(example.source_position for example in examples if example.source_position is not None)
    sinks = {place for place, count in places.items() if count >= MIN_SHARE * len(examples)}
    return [_without_sources_at(sinks, row) for row in features] if sinks else list(features)


def _without_sources_at(sinks: set[int], row: FeatureThroughHead) -> FeatureThroughHead:
    at_sink = [example for example in row.examples[: row.evidence_n] if example.source_position in sinks]
    at_sink_by_kind = {
        "previous_token": sum(example.source_position == example.position - 1 for example in at_sink),
        "induction": sum(example.prefix_length >= 1 for example in at_sink),
    }
    most = row.evidence_n - len(at_sink)
    counts = {
        kind: count if kind == "bos" else min(most, count - at_sink_by_kind.get(kind, 0))
        for kind, count in row.evidence_counts.items()
    }
    return replace(row, evidence_counts=counts)


def _one_kind_each(features: Sequence[FeatureThroughHead]) -> list[str | None]:
    """One kind of evidence for each feature: of those that its examples show, the one most common among the features.

    In a repetitive text one source counts as several kinds, and one behaviour would get several names.
    """
    shown_kinds = [_shown_kinds(row) for row in features]
    spread = Counter(kind for kinds in shown_kinds for kind in kinds if kind != "copying")
    return [max(kinds, key=lambda kind: spread[kind], default=None) for kinds in shown_kinds]


def _shown_kinds(row: FeatureThroughHead) -> list[str]:
    total = row.evidence_n
    if total < MIN_EXAMPLES:
        return []
    return [kind for kind in _ROLES if row.evidence_counts.get(kind, 0) / total >= MIN_SHARE]


def _is_long(features: Sequence[FeatureThroughHead], usual_long_share: Callable[[], float]) -> bool:
    """Whether these induction features are about long prefixes: most prefixes are long, and more than usual."""
    n_sources = sum(_n_with_prefix(row, 1) for row in features)
    n_long = sum(_n_with_prefix(row, LONG_PREFIX) for row in features)
    if not n_long or n_long / sum(row.evidence_n for row in features) < MIN_SHARE:
        return False
    return lower_bound(n_long, n_sources) > usual_long_share()


def lower_bound(count: int, total: int) -> float:
    """The lower end of the 95% interval of a fraction. Source: Wilson 1927, the score interval."""
    if not total:
        return 0.0
    z, share = 1.96, count / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - spread) / (1 + z * z / total)


def _n_with_prefix(row: FeatureThroughHead, length: int) -> int:
    return sum(example.prefix_length >= length for example in row.examples[: row.evidence_n])


def _suggestion(row: FeatureThroughHead, kind: str, long: bool) -> FeatureSuggestion:
    if kind == "induction" and long:
        count = _n_with_prefix(row, LONG_PREFIX)
        return FeatureSuggestion(row.feature, "long-prefix induction", count, row.evidence_n)
    return FeatureSuggestion(row.feature, _ROLES[kind], row.evidence_counts[kind], row.evidence_n)
