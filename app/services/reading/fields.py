"""Fields of page dataclasses with their help texts."""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from app.domain.numbers import field_types

HTML_ONLY = (
    "HTML only"  # marks a field that serves the drawing of the page only: it is not in the JSON version
)


@dataclass(frozen=True)
class FieldHelp:
    """One field of a page dataclass: its type and what it holds."""

    name: str
    hint: Any
    help: str
    in_json: bool


@cache
def described_fields(page: type) -> tuple[FieldHelp, ...]:
    """The fields of a page dataclass with the help text of their annotations, empty if there is none.

    A page's own fields come first, then the numbers that it inherits.
    """
    hints = field_types(page)
    described: list[FieldHelp] = []
    for part in sorted(fields(page), key=lambda part: part.kw_only is True):
        hint: Any = hints[part.name]
        notes = getattr(hint, "__metadata__", ())
        texts = [note for note in notes if isinstance(note, str) and note != HTML_ONLY]
        described.append(
            FieldHelp(
                part.name,
                hint.__origin__ if notes else hint,
                texts[0] if texts else "",
                HTML_ONLY not in notes,
            )
        )
    return tuple(described)
