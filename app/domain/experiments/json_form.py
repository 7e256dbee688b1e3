"""Experiment records as strict JSON and back: what does not fit the dataclass exactly is refused."""

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from app.domain.records import Json
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError, InvalidStore

T = TypeVar("T")


def to_json(value: Any) -> Json:
    """The JSON of a record. Raises ValueError for a number that JSON does not know, TypeError for what has no form."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return value
    if isinstance(value, HeadRef | FeatureRef):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: to_json(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in cast(Mapping[Any, Any], value).items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in cast(tuple[Any, ...], value)]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_json(kind: type[T], data: Json) -> T:
    """The record that to_json wrote. Raises InvalidStore for anything else."""
    try:
        return _read(kind, data)
    except (AppError, TypeError, ValueError, KeyError) as error:
        raise InvalidStore(f"a stored {kind.__name__} is damaged or of another version: {error}") from error


def _read(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if kind in (HeadRef, FeatureRef):
        return kind.parse(data)
    if is_dataclass(kind):
        hints = _hints(cast(type, kind))
        if set(data) != set(hints):
            raise ValueError(f"its fields are {', '.join(sorted(data))}")
        return cast(Any, kind)(**{name: _read(hint, data[name]) for name, hint in hints.items()})
    if origin in (Union, types.UnionType):
        [inner] = [part for part in get_args(kind) if part is not type(None)]
        return None if data is None else _read(inner, data)
    if origin is Literal and data in get_args(kind):
        return data
    if origin is tuple and isinstance(data, list):
        return tuple(_read(get_args(kind)[0], item) for item in cast(list[Any], data))
    if origin is Mapping and isinstance(data, dict):
        return {name: _read(get_args(kind)[1], item) for name, item in cast(dict[str, Any], data).items()}
    return _plain(kind, data)


def _plain(kind: Any, data: Any) -> Any:
    if kind is float and type(data) in (float, int):
        return float(data)
    if kind in (int, str, bool) and type(data) is kind:
        return data
    raise ValueError(f"{str(data)[:40]!r} is not a {getattr(kind, '__name__', kind)}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
