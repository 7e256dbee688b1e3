"""How a dataclass declares options: beside a field's type and default stand its help and its least value.

The command line is made from such a dataclass, so an option has one name, one default and one help text.
"""

from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from app.errors import AppError

AUTO = "auto"  # a device: the best that torch can use where the job runs


@dataclass(frozen=True)
class Option:
    """Help of an option, and the least value that makes sense. It stands in a field's `Annotated` type.

    flag: how it is typed, where that is not the field's name. repeated: of a tuple, whether it is typed once for each
    value, not as text between commas.
    """

    help: str | None = None
    min: int | None = None
    flag: str | None = None
    repeated: bool = False


def option_of(declared: Any) -> Option | None:
    """The Option in an annotated type; None where there is none."""
    options = (part for part in getattr(declared, "__metadata__", ()) if isinstance(part, Option))
    return next(options, None)


def option_name(field: str, option: Option | None = None) -> str:
    """A field's name as it is typed on the command line: `--batch-size`, or the flag of its Option."""
    return (option and option.flag) or f"--{field.replace('_', '-')}"


def check_minimums(options: Any, but: str | None = None, error: type[AppError] = AppError) -> None:
    """Raise an error that names the option where a field, `but` one, is less than its Option allows."""
    hints: dict[str, Any] = get_type_hints(options.__class__, include_extras=True)
    for field in fields(options):
        if field.name == but:
            continue
        option, value = option_of(hints[field.name]), getattr(options, field.name)
        if option is not None and option.min is not None and value is not None and value < option.min:
            raise error(f"{option_name(field.name, option)} must be at least {option.min}, not {value}")
