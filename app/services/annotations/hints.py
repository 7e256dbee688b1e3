"""Suggestions of groups and roles from the evidence of a head's top features: counts, never a language model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.refs import FeatureRef
from app.services.examples.models import FeatureThroughHead

# A kind of evidence suggests a role where at least this share of at least so many examples shows it.
MIN_SHARE, MIN_EXAMPLES = 0.5, 5
LONG_PREFIX = 2
# In order of precedence: induction sources hold the boosted token as well, and often an earlier copy.
_ROLES = (
    ("induction", "induction"),
    ("same_token", "duplicate token"),
    ("previous_token", "previous token"),
    ("copying", "copying"),
)


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


def suggest(features: Sequence[FeatureThroughHead], blind: bool) -> Suggestions:
    """Groups and roles suggested by the evidence of the head's top features; empty in blind mode.

    features: as the head's page shows them, in the same order.
    """
    if blind:
        return Suggestions()
    suggestions = [suggestion for feature in features if (suggestion := _suggest_group(feature))]
    roles = Counter(suggestion.group for suggestion in suggestions)
    return Suggestions(
        tuple(suggestions),
        tuple(
            RoleSuggestion(role, count, len(features))
            for role, count in roles.most_common()
            if count / len(features) >= MIN_SHARE
        ),
    )


def _suggest_group(feature: FeatureThroughHead) -> FeatureSuggestion | None:
    total = feature.evidence_n
    if total < MIN_EXAMPLES:
        return None
    for kind, role in _ROLES:
        count = feature.evidence_counts.get(kind, 0)
        if count / total < MIN_SHARE:
            continue
        if role == "induction" and (long := _n_long(feature, total)) / total >= MIN_SHARE:
            return FeatureSuggestion(feature.feature, "long-prefix induction", long, total)
        return FeatureSuggestion(feature.feature, role, count, total)
    return None


def _n_long(feature: FeatureThroughHead, total: int) -> int:
    """How many of the top examples match a prefix of two or more tokens."""
    return sum(example.prefix_length >= LONG_PREFIX for example in feature.examples[:total])
