"""Words that the findings of several kinds of experiments share."""

from collections.abc import Iterable

from app.domain.refs import HeadRef

MAX_NAMED = 8


def listed(heads: Iterable[HeadRef], none: str = "none") -> str:
    """The names of the heads; of many the first few and how many more."""
    names = [str(head) for head in sorted(heads)]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (", ".join(names[:MAX_NAMED]) or none) + more
