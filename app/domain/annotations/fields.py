"""How a field of an annotation is declared: once, beside its type and default, for every place that names it.

The name of the field is its key in JSON, its column in the spreadsheet and its name in the form. Everything else
that is declared of it stands in its `FieldSpec`, in the annotation of its type. `docs/contributing.md` has the recipe.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Literal, get_type_hints

# How a cell of the spreadsheet, and a field of the form, hold the value.
#   text: as it is; number and optional_number: digits; flag: yes or no; choice: one of `choices`, or nothing;
#   names: of roles, separated by semicolons; json: lists of objects (the form has several fields for them).
Kind = Literal["text", "number", "optional_number", "flag", "choice", "names", "json"]


@dataclass(frozen=True)
class FieldSpec:
    """The declaration of a field, besides its name, type and default."""

    kind: Kind
    position: int  # of its column in the spreadsheet
    words: str  # what it is called in sentences and in the history
    column_set: str = ""  # under which heading the sheet offers its column
    column_name: str = ""  # the column's heading, where it is shorter than the words
    choices: tuple[str, ...] = ()
    choice_name: str = ""  # what one of the choices is, in an error
    merged_by_part: bool = False  # a merge decides part by part; else it is one value
    part_words: str = ""  # what one part is called in the history
    personal: bool = False  # of the annotator, not of the head: a consensus does not take it over


@cache
def field_specs(content_type: type) -> dict[str, FieldSpec]:
    """The specification of each field of an annotation's type, in the order of the fields."""
    hints = get_type_hints(content_type, include_extras=True)
    return {part.name: hints[part.name].__metadata__[0] for part in fields(content_type)}


def personal_fields(content_type: type) -> tuple[str, ...]:
    """The fields that say something of the annotator, which a consensus does not take over."""
    return tuple(name for name, spec in field_specs(content_type).items() if spec.personal)


def number_fields(content_type: type) -> tuple[str, ...]:
    """The fields that hold a whole number, or none."""
    specs = field_specs(content_type).items()
    return tuple(name for name, spec in specs if spec.kind in ("number", "optional_number"))


def yes_or_no_fields(content_type: type) -> tuple[str, ...]:
    """The fields that may say no: flags, and choices with that answer."""
    specs = field_specs(content_type).items()
    return tuple(name for name, spec in specs if spec.kind == "flag" or "no" in spec.choices)


@cache
def sheet_columns(content_type: type) -> tuple[str, ...]:
    """The fields in the order of their columns in the spreadsheet."""
    specs = field_specs(content_type)
    return tuple(sorted(specs, key=lambda name: specs[name].position))
