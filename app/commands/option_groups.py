"""Options that a dataclass declares, as options of a command."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, TypeGuard, get_args, get_type_hints

import typer

from app.domain.options import option_name, option_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with each parameter that is a dataclass replaced by the options which that declares.

    Required options come first, the others in the order of the signature. A field with a default factory is an
    option without a default: the factory has the say where it is not given.
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


def _options_of(group: "type[DataclassInstance]") -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_parameter(field, hints[field.name]) for field in fields(group)]


def _parameter(field: "Field[object]", declared: object) -> inspect.Parameter:
    option, default = option_of(declared), field.default
    if option is not None:
        base = get_args(declared)[0]
        # A flag of its own, or one without a --no- twin; else typer makes it of the name.
        flags = [option_name(field.name, option)] if base is bool or option.flag else []
        if field.default_factory is not MISSING:
            base, default = base | None, None
        declared = Annotated[base, typer.Option(*flags, help=option.help, min=option.min)]
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=declared,
    )


def _instance(group: "type[DataclassInstance]", values: dict[str, object]) -> object:
    """An instance of the dataclass, whose values are taken out of `values`."""
    mine = {field: values.pop(field.name) for field in fields(group)}
    return group(
        **{
            field.name: value
            for field, value in mine.items()
            if value is not None or field.default_factory is MISSING
        }
    )
