"""Which heads bring a group that no earlier head has, reading the model from its first layer upwards."""

from collections.abc import Iterable, Mapping

from app.domain.annotations.names import normalised
from app.domain.refs import HeadRef


def novel_groups(groups: Mapping[HeadRef, Iterable[str]]) -> dict[HeadRef, tuple[str, ...]]:
    """For each head that is novel, the groups that it is the first to have. Unclear is no group."""
    seen: set[str] = set()
    novel: dict[HeadRef, tuple[str, ...]] = {}
    for head in sorted(groups):
        new: dict[str, str] = {}
        for name in groups[head]:
            if normalised(name) not in seen:
                new.setdefault(normalised(name), name)
        seen.update(new)
        if new:
            novel[head] = tuple(new.values())
    return novel
