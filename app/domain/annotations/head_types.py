"""The head type that follows from the groups of a head's top features."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from app.domain.annotations.roles import normalised

HeadType = Literal["monosemantic", "minor_exceptions", "bisemantic", "polysemantic", "unclear"]
HEAD_TYPES: tuple[HeadType, ...] = get_args(HeadType)
HEAD_TYPE_NAMES: dict[HeadType, str] = {
    "monosemantic": "plausibly monosemantic",
    "minor_exceptions": "plausibly monosemantic, minor exceptions",
    "bisemantic": "plausibly bisemantic",
    "polysemantic": "polysemantic",
    "unclear": "unclear",
}


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


def classify(labels: Sequence[Label], k: int = 10) -> TypeFromGroups:
    """The head type of the first k labels, which are those of the head's live features, strongest first.

    With k' = min(k, live features), in this order: half or more unclear: unclear; all in one group:
    monosemantic; all but at most k'//5: minor exceptions; all in exactly two groups: bisemantic; else
    polysemantic. Raises ValueError for k < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, and a type needs at least one feature")
    top = labels[:k]
    marks = Counter(label for label in top if isinstance(label, Mark))
    groups = count_groups(label for label in top if isinstance(label, str))
    n, n_unclear, n_open = len(top), marks[Mark.UNCLEAR], marks[Mark.UNLABELLED]
    head_type = None if n == n_open else _type(n, n_unclear, [size for _, size in groups])
    return TypeFromGroups(head_type, n_open > 0, n, n_unclear, n_open, groups)


def _type(n: int, n_unclear: int, sizes: list[int]) -> HeadType:
    if 2 * n_unclear >= n:
        return "unclear"
    if sizes and sizes[0] == n:
        return "monosemantic"
    if sizes and sizes[0] >= n - n // 5:
        return "minor_exceptions"
    if len(sizes) == 2 and sum(sizes) == n:
        return "bisemantic"
    return "polysemantic"


def count_groups(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """How often each group occurs under its first spelling, largest first; equals in order of appearance."""
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for name in names:
        spelling.setdefault(normalised(name), name)
        counts[normalised(name)] += 1
    return tuple((spelling[key], n) for key, n in counts.most_common())
