"""The head type that follows from the groups of a head's top features."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from app.domain.annotations.names import normalised

HeadType = Literal["monosemantic", "minor_exceptions", "bisemantic", "polysemantic", "unclear"]
HEAD_TYPES: tuple[HeadType, ...] = get_args(HeadType)
HEAD_TYPE_NAMES: dict[HeadType, str] = {
    "monosemantic": "plausibly monosemantic",
    "minor_exceptions": "plausibly monosemantic, minor exceptions",
    "bisemantic": "plausibly bisemantic",
    "polysemantic": "polysemantic",
    "unclear": "unclear",
}


Counted = Literal["unclear", "largest", "two_largest"]


@dataclass(frozen=True)
class TypeRule:
    """The condition for a head to be of `head_type`: that `counted` has all its features but the exceptions.

    `counted`: the features that are unclear, those of the largest group, or those of the two largest. Exceptions:
    at most one in `exceptions_one_in` features, rounded down; none where it is None.
    """

    head_type: HeadType
    counted: Counted
    exceptions_one_in: int | None = None

    def holds(self, n_features: int, counts: Mapping[Counted, int]) -> bool:
        exceptions = n_features // self.exceptions_one_in if self.exceptions_one_in else 0
        return counts[self.counted] >= n_features - exceptions


# The first that holds gives the type. Pages get the table as data, and their scripts read it as `classify` does.
TYPE_RULES: tuple[TypeRule, ...] = (
    TypeRule("unclear", "unclear", exceptions_one_in=2),
    TypeRule("monosemantic", "largest"),
    TypeRule("minor_exceptions", "largest", exceptions_one_in=5),
    TypeRule("bisemantic", "two_largest"),
    TypeRule("polysemantic", "largest", exceptions_one_in=1),  # every head
)


class Mark(Enum):
    """What a feature may have in place of a group."""

    UNCLEAR = "unclear"
    UNLABELLED = "unlabelled"


Label = str | Mark


@dataclass(frozen=True)
class TypeFromGroups:
    """The type of a head as its groups give it, and the counts behind it.

    `head_type` is None where no feature has a label. While `provisional`, features without a label count as
    exceptions. `groups` are (name, features), largest first, first named first among equals.
    """

    head_type: HeadType | None
    provisional: bool
    n_features: int
    n_unclear: int
    n_unlabelled: int
    groups: tuple[tuple[str, int], ...]


def classify(labels: Sequence[Label], k: int = 10, rules: Sequence[TypeRule] = TYPE_RULES) -> TypeFromGroups:
    """The head type of the first k labels, which are those of the head's live features, strongest first.

    Shares are of min(k, live features). Raises ValueError for k < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, and a type needs at least one feature")
    top = labels[:k]
    marks = Counter(label for label in top if isinstance(label, Mark))
    groups = count_groups(label for label in top if isinstance(label, str))
    n, n_unclear, n_open = len(top), marks[Mark.UNCLEAR], marks[Mark.UNLABELLED]
    head_type = None if n == n_open else _type_of(n, n_unclear, [size for _, size in groups], rules)
    return TypeFromGroups(head_type, n_open > 0, n, n_unclear, n_open, groups)


def _type_of(n: int, n_unclear: int, sizes: Sequence[int], rules: Sequence[TypeRule]) -> HeadType:
    """The type of n features, of which n_unclear are unclear and the groups have `sizes`, largest first."""
    counts: dict[Counted, int] = {
        "unclear": n_unclear,
        "largest": sum(sizes[:1]),
        "two_largest": sum(sizes[:2]),
    }
    return next(rule.head_type for rule in rules if rule.holds(n, counts))


def count_groups(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """How often each group occurs under its first spelling, largest first; equals in order of appearance."""
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name in names:
        spelling.setdefault(normalised(name), name)
        counts[normalised(name)] += 1
    return tuple((spelling[key], n) for key, n in counts.most_common())
