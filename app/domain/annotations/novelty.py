"""Which heads bring a group that no earlier head has, reading the model from its first layer upwards."""

from collections.abc import Container, Iterable, Mapping

from app.domain.annotations.names import normalised
from app.domain.refs import HeadRef


def novel_groups(groups: Mapping[HeadRef, Iterable[str]]) -> dict[HeadRef, tuple[str, ...]]:
    """For each head that is novel, the groups that it is the first to have. Unclear is no group."""
    seen: set[str] = set()
    novel: dict[HeadRef, tuple[str, ...]] = {}
    for head in sorted(groups):
        if new := new_names(groups[head], seen):
            novel[head] = new
            seen.update(map(normalised, new))
    return novel


def new_names(names: Iterable[str], known: Container[str]) -> tuple[str, ...]:
    """The names that are not known, each once in its first spelling. known: normalised names."""
    new: dict[str, str] = {}
    for name in names:
        if normalised(name) not in known:
            new.setdefault(normalised(name), name)
    return tuple(new.values())
