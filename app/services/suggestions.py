"""Suggestions of groups and roles from the evidence of a head's top features: counts, never a language model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.records import Evidence, FeatureRecord
from app.domain.refs import FeatureRef, HeadRef

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


def suggest(head: HeadRef, features: Sequence[FeatureRecord], blind: bool) -> Suggestions:
    """Proposals for the head's top features, given in their order. None at all in blind mode."""
    if blind:
        return Suggestions()
    found = [suggestion for record in features if (suggestion := _suggest_group(head, record))]
    roles = Counter(suggestion.group for suggestion in found)
    return Suggestions(
        tuple(found),
        tuple(
            RoleSuggestion(role, count, len(features))
            for role, count in roles.most_common()
            if count / len(features) >= MIN_SHARE
        ),
    )


def _suggest_group(head: HeadRef, record: FeatureRecord) -> FeatureSuggestion | None:
    evidence: Evidence = record.evidence
    total = evidence.n_examples
    if total < MIN_EXAMPLES:
        return None
    for kind, role in _ROLES:
        count = int(evidence.counts[kind][head.head])
        if count / total < MIN_SHARE:
            continue
        if role == "induction" and (long := _n_long(head, record, total)) / total >= MIN_SHARE:
            return FeatureSuggestion(record.ref, "long-prefix induction", long, total)
        return FeatureSuggestion(record.ref, role, count, total)
    return None


def _n_long(head: HeadRef, record: FeatureRecord, total: int) -> int:
    """How many of the top examples match a prefix of two or more tokens."""
    if record.examples is None:
        return 0
    return int(np.count_nonzero(record.examples.prefix_length[:total, head.head] >= LONG_PREFIX))
