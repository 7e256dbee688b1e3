"""Records of arrays: saving, loading and comparing are derived from the dataclass fields."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
AnyArray = NDArray[Any]

RecordT = TypeVar("RecordT", bound="Record")
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Record:
    """A frozen record whose fields are arrays, ints, text, dicts of arrays, or records again.

    Two records are equal when every array is: same dtype, shape and values. Array fields must have exactly
    the declared dtype, so that no count is ever kept in floats and no sum in float32.
    """

    def __post_init__(self) -> None:
        for name, expected in _array_dtypes(type(self)):
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) or cast(AnyArray, value).dtype != expected:
                raise TypeError(f"{type(self).__name__}.{name} must be an array of {expected}")

    def to_arrays(self) -> dict[str, AnyArray]:
        """Every value as an array, under its field's name; names of nested records are joined by dots."""
        arrays: dict[str, AnyArray] = {}
        for name in _field_types(type(self)):
            value = getattr(self, name)
            if isinstance(value, Record):
                value = value.to_arrays()
            if isinstance(value, dict):
                nested = cast(dict[str, AnyArray], value)
                arrays |= {f"{name}.{key}": nested[key] for key in sorted(nested)}
            else:
                arrays[name] = _to_array(value)
        return arrays

    @classmethod
    def from_arrays(cls: type[RecordT], arrays: Mapping[str, AnyArray]) -> RecordT:
        """The inverse of to_arrays. Raises ValueError on an array too many or too few."""
        types, by_field = _field_types(cls), _by_field(arrays)
        if unknown := sorted(by_field.keys() - types.keys()):
            raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}")
        return cls(**{name: _from_arrays(name, hint, by_field.get(name, {})) for name, hint in types.items()})

    @classmethod
    def has_arrays(cls, names: Iterable[str]) -> bool:
        """Whether arrays of these names, no more and no fewer, make a record: they do not after a field was added."""
        types, by_field = _field_types(cls), _by_field(dict.fromkeys(names))
        return by_field.keys() <= types.keys() and all(
            _takes(hint, by_field.get(name, {}).keys()) for name, hint in types.items()
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(other) is not type(self):
            return NotImplemented
        mine, theirs = self.to_arrays(), other.to_arrays()
        return mine.keys() == theirs.keys() and all(_identical(mine[name], theirs[name]) for name in mine)

    __hash__ = None  # type: ignore[assignment]  # equal by content, and arrays have no hash


def run_starts(values: AnyArray) -> Ints:
    """Where each run of equal neighbours begins."""
    changes = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return np.flatnonzero(changes).astype(np.int64)


def distinct(values: Ints) -> Ints:
    """The different values, ascending. A plain sort is twice as fast as numpy's hashing unique."""
    ordered = np.sort(values)
    return ordered[run_starts(ordered)]


def places(values: Ints, ascending: Ints) -> Ints:
    """The place of each value in an ascending array; -1 for those that are not in it."""
    place = np.searchsorted(ascending, values)
    is_member = place < len(ascending)
    is_member[is_member] = ascending[place[is_member]] == values[is_member]
    return np.where(is_member, place, -1).astype(np.int64)


def require_same(what: str, mine: object, theirs: object) -> None:
    """Raise ValueError unless both are equal: leaves of other shapes or settings would broadcast or mix in silence."""
    if mine != theirs:
        raise ValueError(f"cannot merge {what} {mine} with {what} {theirs}")


@cache
def _array_dtypes(cls: type) -> tuple[tuple[str, "np.dtype[Any]"], ...]:
    """The fields that are arrays, and the dtype that each declares."""
    return tuple(
        (name, _declared_dtype(hint))
        for name, hint in _field_types(cls).items()
        if get_origin(hint) is np.ndarray
    )


@cache
def _field_types(cls: type[Record]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls)}


def _declared_dtype(hint: Any) -> np.dtype[Any]:
    return np.dtype(get_args(get_args(hint)[1])[0])


def _by_field(arrays: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """The arrays of each field, by what follows its name."""
    by_field: dict[str, dict[str, T]] = {}
    for name, array in arrays.items():
        field_name, _, rest = name.partition(".")
        by_field.setdefault(field_name, {})[rest] = array
    return by_field


def _takes(hint: Any, names: Collection[str]) -> bool:
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.has_arrays(names)
    return get_origin(hint) is dict or set(names) == {""}


def _to_array(value: Any) -> AnyArray:
    if isinstance(value, str):
        return np.frombuffer(value.encode(), dtype=np.uint8)
    return cast(AnyArray, value) if isinstance(value, np.ndarray) else np.asarray(value, dtype=np.int64)


def _from_arrays(name: str, hint: Any, parts: dict[str, AnyArray]) -> Any:
    if get_origin(hint) is dict:
        return parts
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.from_arrays(parts)
    if parts.keys() != {""}:
        raise ValueError(f"array {name} is missing or has parts it should not have")
    if hint is str:
        return parts[""].tobytes().decode()
    return int(parts[""]) if hint is int else parts[""]


def _identical(a: AnyArray, b: AnyArray) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
