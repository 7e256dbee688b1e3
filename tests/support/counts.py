"""How often a test did what it is about: kills, saves, requests. `make figures` adds them up."""

from collections import Counter

_counts: Counter[str] = Counter()


def count(what: str, n: int = 1) -> None:
    """Add to what the running test has done."""
    _counts[what] += n


def take_counts() -> dict[str, int]:
    """What was counted since the last call."""
    taken = dict(_counts)
    _counts.clear()
    return taken
