"""What a head's type rests on, in words: its counts, and which labels would make it another."""

from collections.abc import Sequence

from app.domain.annotations.head_types import HEAD_TYPE_NAMES, Label, Mark, TypeFromGroups, classify
from app.domain.annotations.names import normalised

MOST_NAMED = 2


def counts_in_words(result: TypeFromGroups) -> str:
    """The counts that a type rests on, such as: 9 in “induction”, 1 open."""
    parts = [f"{n} in “{name}”" for name, n in result.groups]
    if result.n_unclear:
        parts.append(f"{result.n_unclear} unclear")
    if result.n_unlabelled:
        parts.append(f"{result.n_unlabelled} open")
    return ", ".join(parts)


def changes_in_words(labels: Sequence[Label], k: int) -> tuple[str, ...]:
    """At most two sentences: which type the open features could make, or the fewest labels that would give another.

    One or two features that are open, or alone outside the largest group, are named by their place.
    """
    top = tuple(labels[:k])
    result = classify(top, k) if k >= 1 else None
    if result is None or not top or result.head_type is None:
        return ()
    largest = result.groups[0][0] if result.groups else None
    if result.n_unlabelled:
        return _if_open(top, k, largest)
    return _if_moved(top, k, largest, result) if largest is not None else ()


def _if_open(top: tuple[Label, ...], k: int, largest: str | None) -> tuple[str, ...]:
    places = [i for i, label in enumerate(top) if label is Mark.UNLABELLED]
    who, is_single = _named(places), len(places) == 1
    sentences: list[str] = []
    if largest is not None:
        joined = _moved(top, places, largest)
        sentences.append(f"If {who} join{'s' if is_single else ''} “{largest}”: {_name(joined, k)}.")
    unclear = _moved(top, places, Mark.UNCLEAR)
    sentences.append(f"If {who} {'is' if is_single else 'are'} unclear: {_name(unclear, k)}.")
    return tuple(sentences)


def _if_moved(top: tuple[Label, ...], k: int, largest: str, now: TypeFromGroups) -> tuple[str, ...]:
    """The types if features moved into the largest group, and out of it into another."""
    own = normalised(largest)
    outside = [i for i, label in enumerate(top) if isinstance(label, Mark) or normalised(label) != own]
    inside = [i for i in range(len(top)) if i not in outside]
    sentences: list[str] = []
    for places, to, words in ((outside, largest, "more in"), (inside, "\0another", "fewer in")):
        for n in range(1, len(places) + 1):
            changed = _moved(top, places[-n:], to)
            if classify(changed, k).head_type != now.head_type:
                all_named = places is outside and n == len(places) <= MOST_NAMED
                who = f"If {_named(places)} join{'s' if n == 1 else ''}" if all_named else f"{n} {words}"
                sentences.append(f"{who} “{largest}”: {_name(changed, k)}.")
                break
    return tuple(sentences)


def _moved(top: tuple[Label, ...], places: Sequence[int], to: Label) -> list[Label]:
    return [to if i in places else label for i, label in enumerate(top)]


def _named(places: Sequence[int]) -> str:
    """Features by their places on the page, such as 9 and 10; how many they are, where they are many."""
    return " and ".join(str(i + 1) for i in places) if len(places) <= MOST_NAMED else f"all {len(places)}"


def _name(labels: Sequence[Label], k: int) -> str:
    head_type = classify(labels, k).head_type
    return HEAD_TYPE_NAMES[head_type] if head_type else "no type"
