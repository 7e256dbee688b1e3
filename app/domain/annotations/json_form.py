"""Annotations as plain JSON and back: the form in which they are stored and exchanged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_type_hints

from app.domain.annotations.fields import Kind, field_specs
from app.domain.annotations.records import (
    Content,
    EvidenceLink,
    FeatureLabel,
    FeatureNote,
    Group,
    HeadAnnotation,
    InvalidAnnotation,
)
from app.domain.annotations.roles import current_name
from app.domain.records import Json
from app.domain.refs import parse_labelled

T = TypeVar("T")


def content_to_json(content: Content) -> dict[str, Json]:
    """The JSON of an annotation: every field; a label is [feature, group, unclear, suggested] under those names."""
    values = _values(content)
    if isinstance(content, HeadAnnotation):
        values["roles"] = list(content.roles)
        values["groups"] = [_values(group) for group in content.groups]
        values["labels"] = [_values(label) | {"feature": str(label.feature)} for label in content.labels]
        values["evidence"] = [_values(link) for link in content.evidence]
    return values


def _values(item: Content | Group | FeatureLabel | EvidenceLink) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(item)}


def note_from_json(value: object) -> FeatureNote:
    """The note that JSON holds. Raises InvalidAnnotation."""
    return FeatureNote(**_fields(FeatureNote, value))


def head_from_json(value: object) -> HeadAnnotation:
    """The annotation in JSON; missing fields have their defaults. Raises InvalidAnnotation or InvalidReference."""
    values = _fields(HeadAnnotation, value)
    readers: dict[str, Callable[[Any], Any]] = {
        "groups": lambda item: Group(**_fields(Group, item)),
        "labels": _label,
        "roles": lambda item: current_name(_typed("a role", item, str)),
        "evidence": lambda item: EvidenceLink(**_fields(EvidenceLink, item)),
    }
    for name, read in readers.items():
        if name in values:
            values[name] = tuple(read(item) for item in _items(name, values[name]))
    return HeadAnnotation(**values)


def _label(item: object) -> FeatureLabel:
    values = _fields(FeatureLabel, item)
    if "feature" not in values:
        raise InvalidAnnotation("a label has no valid feature")
    values["feature"] = parse_labelled(_typed("a feature", values["feature"], str))
    return FeatureLabel(**values)


_TYPES_OF_KIND: dict[Kind, tuple[type, ...]] = {
    "text": (str,),
    "number": (int,),
    "optional_number": (int, type(None)),
    "flag": (bool,),
    "choice": (str, type(None)),
    "names": (list, tuple),
    "json": (list, tuple),
}


def _fields(kind: type, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidAnnotation(f"{str(value)[:60]!r} is not an object with the fields of {kind.__name__}")
    types, required = _types(kind), _required(kind)
    items = {str(name): item for name, item in cast(Mapping[object, object], value).items()}
    if unknown := sorted(items.keys() - types.keys()):
        raise InvalidAnnotation(f"{unknown[0][:60]!r} is not a field of {kind.__name__}")
    if missing := [name for name in required if name not in items]:
        raise InvalidAnnotation(f"{kind.__name__} lacks {missing[0]!r}")
    return {name: _typed(repr(name), item, *types[name]) for name, item in items.items()}


@cache
def _types(kind: type) -> dict[str, tuple[type, ...]]:
    """The types that each field may have in JSON; of a part, whatever is not yes or no is text."""
    if kind in (HeadAnnotation, FeatureNote):
        return {name: _TYPES_OF_KIND[spec.kind] for name, spec in field_specs(kind).items()}
    return {name: _types_of_part(hint) for name, hint in get_type_hints(kind).items()}


def _types_of_part(hint: Any) -> tuple[type, ...]:
    if hint is bool:
        return (bool,)
    return (str, type(None)) if type(None) in get_args(hint) else (str,)


@cache
def _required(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.default is MISSING)


def _typed(name: str, value: object, *types: type) -> Any:
    wrong_bool = isinstance(value, bool) and bool not in types
    if wrong_bool or not isinstance(value, types):
        expected = " or ".join("nothing" if t is type(None) else t.__name__ for t in types)
        raise InvalidAnnotation(f"{name} is {str(value)[:60]!r}, not {expected}")
    return value


def _items(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise InvalidAnnotation(f"{name} is not a list")
    return cast(Sequence[object], value)
