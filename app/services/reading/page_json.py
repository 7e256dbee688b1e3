"""Page dataclasses as strict JSON: references as text, non-finite numbers as null.

pydantic serialises the fields that `described_fields` names, without those marked as drawn only.
"""

import types
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin

import numpy as np
from pydantic_core import SchemaSerializer, core_schema

from app.domain.refs import FeatureRef, HeadRef, LabelledRef
from app.services.reading.fields import described_fields


def page_json(page: object) -> bytes:
    """The page as compact JSON in UTF-8.

    Raises PydanticSerializationError for a value without a JSON form, so no new field is written as its repr.
    """
    # No warnings: whole numbers stand where the declared type is a float, and are written as what they are.
    return _serializer(type(page)).to_json(page, fallback=_plain, warnings=False)


@cache
def _serializer(page: type) -> SchemaSerializer:
    return SchemaSerializer(page_schema(page))


def page_schema(page: type) -> core_schema.CoreSchema:
    """The pydantic core schema of a page type. Raises TypeError for a field type that pages must not have."""
    parts: dict[type, core_schema.CoreSchema] = {}
    whole = _schema(page, parts)
    return core_schema.definitions_schema(whole, list(parts.values()))


def _text(pattern: str) -> core_schema.CoreSchema:
    # A union asks its parts in turn, and whatever is asked first would write None as text.
    written = core_schema.plain_serializer_function_ser_schema(
        str, return_schema=core_schema.str_schema(pattern=pattern), when_used="unless-none"
    )
    return core_schema.any_schema(serialization=written)


_SIMPLE: dict[Any, core_schema.CoreSchema] = {
    str: core_schema.str_schema(),
    int: core_schema.int_schema(),
    float: core_schema.float_schema(),
    bool: core_schema.bool_schema(),
    type(None): core_schema.none_schema(),
    HeadRef: _text(r"^L\d+H\d+$"),
    FeatureRef: _text(r"^L\d+F\d+$"),
    LabelledRef: _text(r"^L\d+(F\d+|H\d+:\d+:\d+)$"),
}


def _schema(hint: Any, parts: dict[type, core_schema.CoreSchema]) -> core_schema.CoreSchema:
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if is_dataclass(hint) and isinstance(hint, type):
        return _of_dataclass(hint, parts)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return core_schema.union_schema([_schema(part, parts) for part in arguments])
    if origin is Literal:
        return core_schema.literal_schema(list(arguments))
    if origin in (tuple, list):
        items = _schema(arguments[0], parts)
        if origin is list:
            return core_schema.list_schema(items)
        return core_schema.tuple_schema([items], variadic_item_index=0)
    if origin is dict:
        return core_schema.dict_schema(core_schema.str_schema(), _schema(arguments[1], parts))
    raise TypeError(f"{hint!r} has no JSON schema")


def _of_dataclass(part: type, parts: dict[type, core_schema.CoreSchema]) -> core_schema.CoreSchema:
    name = f"{part.__module__}.{part.__name__}:{id(part)}"
    if part not in parts:
        parts[part] = core_schema.any_schema()  # holds its place while its fields are read
        described = [field for field in described_fields(part) if field.in_json]
        fields = [core_schema.dataclass_field(field.name, _schema(field.hint, parts)) for field in described]
        parts[part] = core_schema.dataclass_schema(
            part,
            core_schema.dataclass_args_schema(part.__name__, fields),
            [field.name for field in described],
            ref=name,
        )
    return core_schema.definition_reference_schema(name)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return cast(object, value.item())
    raise TypeError(f"{type(value).__name__} has no JSON form")
