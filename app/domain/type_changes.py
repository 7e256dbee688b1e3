"""What a head's type rests on, in words: its counts, and which labels would make it another."""

from collections.abc import Sequence

from app.domain.head_types import HEAD_TYPE_NAMES, Label, Mark, TypeFromGroups, classify


def counts_in_words(found: TypeFromGroups) -> str:
    """9 in “induction”, 1 open."""
    parts = [f"{n} in “{name}”" for name, n in found.groups]
    if found.n_unclear:
        parts.append(f"{found.n_unclear} unclear")
    if found.n_unlabelled:
        parts.append(f"{found.n_unlabelled} open")
    return ", ".join(parts)


def changes_in_words(labels: Sequence[Label], k: int) -> tuple[str, ...]:
    """At most two: what the open features would make of it, or the least number of labels that would change it."""
    top = tuple(labels[:k])
    found = classify(top, k) if k >= 1 else None
    if found is None or not top or found.head_type is None:
        return ()
    largest = found.groups[0][0] if found.groups else None
    if found.n_unlabelled:
        return _if_open(top, k, largest)
    return _if_moved(top, k, largest, found)


def _if_open(top: tuple[Label, ...], k: int, largest: str | None) -> tuple[str, ...]:
    n_open = sum(label is Mark.UNLABELLED for label in top)
    it = "it joins" if n_open == 1 else f"all {n_open} join"
    is_ = "it is" if n_open == 1 else f"all {n_open} are"
    sentences: list[str] = []
    if largest is not None:
        filled = [largest if label is Mark.UNLABELLED else label for label in top]
        sentences.append(f"If {it} “{largest}”: {_name(filled, k)}.")
    unclear = [Mark.UNCLEAR if label is Mark.UNLABELLED else label for label in top]
    sentences.append(f"If {is_} unclear: {_name(unclear, k)}.")
    return tuple(sentences)


def _if_moved(top: tuple[Label, ...], k: int, largest: str | None, now: TypeFromGroups) -> tuple[str, ...]:
    """Moves into the largest group, and out of it into another."""
    outside = [i for i, label in enumerate(top) if label != largest]
    inside = [i for i, label in enumerate(top) if label == largest]
    moves = [(outside, largest, "more in"), (inside, "\0another", "fewer in")] if largest else []
    sentences: list[str] = []
    for places, to, words in moves:
        for n in range(1, len(places) + 1):
            changed = [to or label if i in places[-n:] else label for i, label in enumerate(top)]
            if classify(changed, k).head_type != now.head_type:
                sentences.append(f"{n} {words} “{largest}”: {_name(changed, k)}.")
                break
    return tuple(sentences)


def _name(labels: Sequence[Label], k: int) -> str:
    head_type = classify(labels, k).head_type
    return HEAD_TYPE_NAMES[head_type] if head_type else "no type"
