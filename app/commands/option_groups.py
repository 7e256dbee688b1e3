"""Options that a dataclass declares, as options of a command."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, TypeGuard, get_args, get_origin, get_type_hints

import typer

from app.domain.options import option_name, option_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by the options that the dataclass declares.

    Required options come first, the others in the order of the signature. A field is an option if its type has an
    Option; a field that is itself a dataclass stands for the options of that; other fields keep their defaults. A
    tuple is given as text with commas, or, if its Option is `repeated`, by giving the option once for each value. A
    field with a default factory has no default on the command line: without the option, the factory makes its value.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: declared for name, declared in hints.items() if _is_group(declared)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        group = groups.get(parameter.name)
        parameters += [parameter] if group is None else _options_of(group)
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)

    @functools.wraps(command)
    def run(**values: object) -> None:
        instances = {name: _instance(group, values) for name, group in groups.items()}
        command(**values, **instances)

    run.__signature__ = inspect.Signature(  # pyright: ignore[reportAttributeAccessIssue] - read by typer
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _is_group(declared: object) -> "TypeGuard[type[DataclassInstance]]":
    return isinstance(declared, type) and is_dataclass(declared)


def _option_fields(group: "type[DataclassInstance]") -> "Iterator[tuple[Field[object], object]]":
    """The fields that are options or have options, each with its type as declared."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        declared = hints[field.name]
        if hasattr(declared, "__metadata__") or (_is_group(declared) and any(_option_fields(declared))):
            yield field, declared


def _options_of(group: "type[DataclassInstance]") -> list[inspect.Parameter]:
    options: list[inspect.Parameter] = []
    for field, declared in _option_fields(group):
        options += _options_of(declared) if _is_group(declared) else [_parameter(field, declared)]
    return options


def _parameter(field: "Field[object]", declared: object) -> inspect.Parameter:
    option, default, typed = option_of(declared), field.default, declared
    if option is not None:
        base = get_args(declared)[0]
        # A flag of its own, or one without a --no- twin; else typer makes it of the name.
        flags = [option_name(field.name, option)] if base is bool or option.flag else []
        if option.repeated:
            base = list[str]
        elif isinstance(default, tuple):
            base, default = str, ",".join(map(str, default))
        if field.default_factory is not MISSING:
            base, default = base | None, None
        typed = Annotated[base, typer.Option(*flags, help=option.help, min=option.min)]
    return inspect.Parameter(
        _parameter_name(field, declared),
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=typed,
    )


def _parameter_name(field: "Field[object]", declared: object) -> str:
    """The name of a field's parameter in the command: that of its flag, since two dataclasses may share field names."""
    option = option_of(declared)
    return field.name if option is None else option_name(field.name, option).strip("-").replace("-", "_")


def _instance(group: "type[DataclassInstance]", values: dict[str, object]) -> object:
    """An instance of the dataclass; the values of its options are removed from `values`."""
    mine: dict[str, object] = {}
    for field, declared in _option_fields(group):
        if _is_group(declared):
            mine[field.name] = _instance(declared, values)
            continue
        value = values.pop(_parameter_name(field, declared))
        if value is None and field.default_factory is not MISSING:
            continue
        is_listed = option_of(declared) is not None and get_origin(get_args(declared)[0]) is tuple
        mine[field.name] = _parts(value) if is_listed else value
    return group(**mine)


def _parts(value: object) -> tuple[str, ...]:
    """The values of a list that was given as text with commas, or by repeating the option."""
    if isinstance(value, list):
        return tuple(map(str, value))
    return tuple(part.strip() for part in str(value).split(",") if part.strip())
