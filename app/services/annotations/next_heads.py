"""The head to annotate next, and which heads come twice."""

import hashlib
from dataclasses import dataclass

from app.domain.refs import HeadRef

ONE_IN = 10


@dataclass(frozen=True)
class NextHead:
    """The head to annotate next; `again`: for the second time."""

    head: HeadRef
    again: bool = False

    @property
    def look(self) -> HeadRef | None:
        """The value of `look` in the address of its page: the head, if it is shown for the second time."""
        return self.head if self.again else None


def comes_twice(atlas: str, annotator: str, head: HeadRef) -> bool:
    """Whether the annotator is shown the head twice: one head in ten, by a hash that never changes."""
    digest = hashlib.sha256(f"{atlas} {annotator} {head}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % ONE_IN == 0
