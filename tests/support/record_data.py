"""Random values of records, following nothing but their declared types and axes: a new number has data at once."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import numpy as np

from app.domain.evidence import KINDS
from app.domain.numbers import Axes, field_types

SIZES = {"bins": 12, "edges": 13, "top": 20, "top_of_head": 10, "sources": 8, "k": 3}


def random_record(record: type, rng: np.random.Generator, sizes: Mapping[str, int]) -> Any:
    """A record with every field filled, those that may be missing too. sizes: of the axes that SIZES lacks."""
    return record(**random_fields(record, rng, sizes))


def random_fields(
    record: type, rng: np.random.Generator, sizes: Mapping[str, int], axes: str = ""
) -> dict[str, Any]:
    """The fields of `random_record` by name."""
    return {name: _value(hint, rng, {**SIZES, **sizes}, axes) for name, hint in field_types(record).items()}


def optional_fields(record: type) -> list[str]:
    """The fields that are None where a stored record lacks them."""
    return [part.name for part in fields(record) if part.default is None and part.default is not MISSING]


def _value(hint: Any, rng: np.random.Generator, sizes: Mapping[str, int], axes: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        declared = [note.names for note in hint.__metadata__ if isinstance(note, Axes)]
        return _value(hint.__origin__, rng, sizes, declared[0] if declared else axes)
    if origin in (Union, UnionType):
        (inner,) = (argument for argument in arguments if argument is not NoneType)
        return _value(inner, rng, sizes, axes)
    if origin is np.ndarray:
        return _array(get_args(arguments[1])[0], rng, tuple(sizes[name] for name in axes.split()))
    if origin is dict:
        return {kind: _value(arguments[1], rng, sizes, axes) for kind in KINDS}
    if origin is tuple:
        return tuple(_value(arguments[0], rng, sizes, axes) for _ in range(2))
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**random_fields(hint, rng, sizes, axes))
    return {int: int(rng.integers(1, 2**31)), float: float(rng.random()), str: f"name {rng.integers(99)}"}[
        hint
    ]


def _array(dtype: type, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, 5, shape, dtype)
    return rng.random(shape).astype(dtype)
