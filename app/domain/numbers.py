"""The numbers of features and heads, each declared once.

A field of these classes is a field of the record that the job makes, of what the store keeps of it, and of the JSON
of the pages about it. Its annotation is the help that JSON readers get; its formula is a row of docs/statistics.md.
`| None = None` declares a number that may be missing: it was not computed, or the run is older than the number.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axes:
    """The axes of an array, by name."""

    names: str


@dataclass(frozen=True)
class StoredAs:
    """The name in stored blocks of a number that has since been renamed."""

    name: str


ByHead = Annotated[NDArray[np.float32], Axes("heads")]
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class FeatureNumbers:
    """The numbers of a whole feature.

    One with a column of its name in the table `features` is stored there, any other in the feature's block.
    """

    n_active: Annotated[int, "Counted tokens where the feature is active"]
    density: Annotated[float, "n_active over counted tokens"]
    max_activation: Annotated[float, "Largest activation"]
    mean_activation: Annotated[float, "Mean activation over active tokens"]
    worst_residual: Annotated[float, "Largest residual over the stored examples"]


@dataclass(frozen=True, kw_only=True)
class HeadPartNumbers(Generic[Value]):
    """The numbers of each head's part in a feature: arrays [heads] in a record, one head's values on a page."""

    decoder_weight_norm: Annotated[Value, "Norm of the head's slice of the decoder row"]
    decoder_weight_share: Annotated[Value, "That norm over the sum of all heads'"]
    top_logit: Annotated[
        Value | None,
        "Logit of the feature's first promoted token through this head's slice; null in older runs",
        StoredAs("first_logit_by_head"),
    ] = None


@dataclass(frozen=True, kw_only=True)
class HeadNumbers:
    """The numbers of a head about its features, columns of the table `heads`; None where its layer has no SAE."""

    concentration: Annotated[float | None, "The head's largest decoder weight share among live features"] = (
        None
    )
    rank_correlation: Annotated[
        float | None, "Spearman correlation of decoder weight share and FVE over its features"
    ] = None
    top_overlap: Annotated[int | None, "Features that are in the top ten by both rankings"] = None


def values_of(numbers: type[FeatureNumbers] | type[HeadNumbers], record: object) -> dict[str, Any]:
    """The declared numbers of a record, by name: what a page about it is made with."""
    return {part.name: getattr(record, part.name) for part in fields(numbers)}


def values_of_head(record: "HeadPartNumbers[NDArray[np.float32]]", head: int) -> dict[str, Any]:
    """One head's values of the numbers of heads' parts in a feature, by name."""
    columns = ((part.name, getattr(record, part.name)) for part in fields(HeadPartNumbers))
    return {name: None if column is None else column[head].item() for name, column in columns}


def number_help(name: str) -> str:
    """The help of a declared number of a feature or of a head's part in one. Raises KeyError for any other name."""
    hints = field_types(FeatureNumbers) | field_types(HeadPartNumbers)
    return next(note for note in hints[name].__metadata__ if isinstance(note, str))


def field_types(cls: type) -> dict[str, Any]:
    """The type of each field with its annotation, `HeadPartNumbers[float]` having float for Value."""
    hints = get_type_hints(cls, include_extras=True)
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is HeadPartNumbers:
            (value,) = get_args(base)
            hints = {name: hint[value] if _is_open(hint) else hint for name, hint in hints.items()}
    return hints


def _is_open(hint: Any) -> bool:
    return bool(getattr(hint, "__parameters__", ()))
