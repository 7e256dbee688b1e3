"""Fields of records as named arrays and back, following nothing but the types that the records declare.

An array and a number are stored under the field's name, the parts of a dataclass under `name.part`, the entries of
a dict under `name.key`, a tuple of dataclasses as one array for each of their fields. None is stored as no array.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from app.domain.numbers import StoredAs, field_types
from app.errors import InvalidStore

Arrays = dict[str, NDArray[Any]]
_NUMBERS: dict[Any, Any] = {int: np.int64, float: np.float64}


class StoredArrays(dict[str, NDArray[Any]]):
    """The arrays of a block. A missing one raises InvalidStore, since an undamaged block may hold something else."""

    def __missing__(self, name: str) -> NDArray[Any]:
        raise InvalidStore(f"a stored block is damaged: it lacks {name!r}")


@dataclass(frozen=True)
class FieldArrays:
    """How one field's value becomes arrays, and how it is read from them."""

    names: tuple[str, ...]  # of its arrays, as far as the type fixes them
    pack: Callable[[Any], Arrays]
    unpack: Callable[[StoredArrays], Any]


def arrays_of_field(name: str, hint: Any) -> FieldArrays:
    """The packing and unpacking of a field of this name and type. Raises TypeError for a type that no block holds."""
    if get_origin(hint) is Annotated:
        renamed = [note.name for note in hint.__metadata__ if isinstance(note, StoredAs)]
        return arrays_of_field(renamed[0] if renamed else name, hint.__origin__)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType) and NoneType in arguments:
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _optional(arrays_of_field(name, inner))
    if origin is np.ndarray:
        return FieldArrays((name,), lambda value: {name: value}, lambda arrays: arrays[name])
    if hint in _NUMBERS:
        dtype = _NUMBERS[hint]
        return FieldArrays(
            (name,), lambda value: {name: np.array(value, dtype)}, lambda arrays: arrays[name].item()
        )
    if origin is dict:
        return _arrays_by_key(f"{name}.")
    if origin is tuple:
        return _columns(f"{name}.", arguments[0])
    return arrays_of_parts(hint, f"{name}.")


def arrays_of_parts(record: type, prefix: str = "", leave_out: tuple[str, ...] = ()) -> FieldArrays:
    """The packing and unpacking of a dataclass; `unpack` gives a dict of fields where some are left out."""
    types = field_types(record)
    names = [part.name for part in fields(record) if part.name not in leave_out]
    parts = {name: arrays_of_field(prefix + name, types[name]) for name in names}

    def pack(value: Any) -> Arrays:
        packed: Arrays = {}
        for name, part in parts.items():
            packed |= part.pack(getattr(value, name))
        return packed

    def unpack(arrays: StoredArrays) -> Any:
        values = {name: part.unpack(arrays) for name, part in parts.items()}
        return values if leave_out else record(**values)

    return FieldArrays(tuple(name for part in parts.values() for name in part.names), pack, unpack)


def _optional(inner: FieldArrays) -> FieldArrays:
    def unpack(arrays: StoredArrays) -> Any:
        return inner.unpack(arrays) if any(name in arrays for name in inner.names) else None

    return FieldArrays(inner.names, lambda value: {} if value is None else inner.pack(value), unpack)


def _arrays_by_key(prefix: str) -> FieldArrays:
    def pack(value: Mapping[str, NDArray[Any]]) -> Arrays:
        return {prefix + key: array for key, array in value.items()}

    def unpack(arrays: StoredArrays) -> Arrays:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    return FieldArrays((), pack, unpack)


def _columns(prefix: str, row: type) -> FieldArrays:
    types = field_types(row)
    names = tuple(prefix + name for name in types)
    # Fields that came later: blocks from before lack their columns, and have what the declaration says.
    defaults = {prefix + part.name: part.default for part in fields(row) if part.default is not MISSING}
    (*_, last_of_old) = (name for name in names if name not in defaults)

    def pack(rows: tuple[Any, ...]) -> Arrays:
        columns = ([getattr(item, name) for item in rows] for name in types)
        return {
            name: _column(values, hint)
            for name, values, hint in zip(names, columns, types.values(), strict=True)
        }

    def unpack(arrays: StoredArrays) -> tuple[Any, ...]:
        n_rows = len(arrays[last_of_old])
        if not n_rows:
            return ()
        columns = (
            [defaults[name]] * n_rows
            if name in defaults and name not in arrays
            else _values(arrays[name], hint)
            for name, hint in zip(names, types.values(), strict=True)
        )
        return tuple(row(*values) for values in zip(*columns, strict=True))

    return FieldArrays(names, pack, unpack)


def _column(values: list[Any], hint: Any) -> NDArray[Any]:
    if hint is str:
        # Such text has no line breaks: it comes from the code, not from data.
        return np.frombuffer("\n".join(values).encode(), np.uint8)
    return np.array(values, _NUMBERS[hint])


def _values(column: NDArray[Any], hint: Any) -> list[Any]:
    return column.tobytes().decode().split("\n") if hint is str else cast("list[Any]", column.tolist())
