"""Parsing of the annotation form. The content is validated where it is saved."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Request
from starlette.datastructures import FormData

from app.domain.annotations.fields import FieldSpec, field_specs
from app.domain.annotations.names import normalised
from app.domain.annotations.records import (
    DEFAULT_K,
    MAX_LABELS,
    EvidenceKind,
    EvidenceLink,
    FeatureLabel,
    Group,
    HeadAnnotation,
    InvalidAnnotation,
    Status,
)
from app.domain.annotations.roles import (
    ABSTRACTIONS,
    FAMILIES,
    Family,
    find_role,
    suggested_family,
)
from app.domain.records import Ranking
from app.domain.refs import InvalidReference, LabelledRef, parse_labelled
from app.services.annotations.edits import FINISHING, SubmittedForm

MAX_FIELDS = 1000
T = TypeVar("T")
_LABEL, _TAKE = "label:", "take:"
# The form's fields beside those of one feature and of one conflict.
_FIELD_NAMES = frozenset(
    (
        *field_specs(HeadAnnotation),
        *("action", "base_version", "status", "new_group", "key", "accepted", "suggestion", "from_label"),
        *("group_name", "group_family", "group_abstraction"),
        *("evidence_kind", "evidence_target", "evidence_note"),
    )
)
_OFFERED = "offered"  # in place of a level: a group of the form that is none of the record's yet


class UnreadableForm(InvalidAnnotation):
    """The form has fields that the page would not send."""


async def read_fields(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=MAX_FIELDS)


Fields = Annotated[FormData, Depends(read_fields)]


def read_head_form(form: FormData) -> SubmittedForm:
    """The submitted form. Raises InvalidAnnotation for fields that the page would not send."""
    if not any(name in _FIELD_NAMES or name.startswith((_LABEL, _TAKE)) for name in form):
        raise UnreadableForm("the form has none of the fields of this page; nothing was saved")
    action, _, argument = _text(form, "action", "save").partition(":")
    if action in FINISHING and not _text(form, "base_version").strip():
        raise UnreadableForm("the form does not say which version of the record it was shown for")
    groups, numbers = _groups(form)
    labels = _labels(form, numbers)
    used = {label.group for label in labels}
    typed = [name for name in dict.fromkeys(label.group for label in labels) if name is not None]
    new = [Group(name, suggested_family(name)) for name in typed if name not in numbers.values()]
    return SubmittedForm(
        content=HeadAnnotation(
            groups=(*(group for group, offered in groups if not offered or group.name in used), *new),
            labels=labels,
            roles=tuple(find_role(name).name for name in _texts(form, "roles")),
            evidence=_evidence(form),
            **_single_values(form),
        ),
        base_version=_number(form, "base_version", 0),
        status=_status(form),
        action=action,
        argument=argument,
        new_group=_text(form, "new_group"),
        theirs=tuple(name.removeprefix(_TAKE) for name in form if _takes_theirs(form, name)),
        suggested=_suggested(form, action, argument),
        key=_text(form, "key"),
    )


def _single_values(form: FormData) -> dict[str, Any]:  # Any: each field has a type of its own
    """Values of the annotation's fields that have one input in the form, parsed as they are declared."""
    readers: dict[str, Callable[[str, FieldSpec], object]] = {
        "text": lambda name, _: _text(form, name),
        "flag": lambda name, _: bool(_text(form, name)),
        "number": lambda name, _: _number(form, name, getattr(HeadAnnotation, name)),
        "optional_number": lambda name, _: _number(form, name, 0) or None,
        "choice": lambda name, spec: _one_of(_text(form, name), spec.choices, spec.choice_name),
    }
    specs = field_specs(HeadAnnotation)
    values = {name: readers[spec.kind](name, spec) for name, spec in specs.items() if spec.kind in readers}
    return values | {"ranking": _ranking(form, "ranking"), "k": _counted(form)}


def _text(form: Mapping[str, object], name: str, default: str = "") -> str:
    value = form.get(name, default)
    return value if isinstance(value, str) else default


def _texts(form: FormData, name: str) -> list[str]:
    return [value for value in form.getlist(name) if isinstance(value, str)]


def _number(form: FormData, name: str, default: int) -> int:
    text = _text(form, name).strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise UnreadableForm(f"the field {name} is not a whole number")
    return int(text)


def _counted(form: FormData) -> int:
    k = _number(form, "k", DEFAULT_K)
    if not 1 <= k <= MAX_LABELS:
        raise UnreadableForm(f"the head type must count 1 to {MAX_LABELS} features")
    return k


def _one_of(value: str, choices: tuple[T, ...], name: str) -> T | None:
    """The value if the page offers it, None for an empty one. Raises UnreadableForm for any other."""
    choice = next((each for each in choices if each == value), None)
    if value and choice is None:
        raise UnreadableForm(f"the page does not offer the {name} that the form has")
    return choice


def _ranking(form: FormData, name: str) -> Ranking:
    return "fve" if _text(form, name) == "fve" else "decoder_weight"


def _status(form: FormData) -> Status:
    statuses: dict[str, Status] = {"submitted": "submitted", "unsure": "unsure", "skipped": "skipped"}
    return statuses.get(_text(form, "status"), "draft")


def _groups(form: FormData) -> tuple[list[tuple[Group, bool]], dict[str, str]]:
    """(group, whether it was only offered) for each row of the form, and the groups' names by number.

    A row with an empty name is not a group.
    """
    names, families = _texts(form, "group_name"), _texts(form, "group_family")
    levels = _texts(form, "group_abstraction")
    if not len(names) == len(families) == len(levels):
        raise UnreadableForm("the groups of the form are incomplete")
    groups: list[tuple[Group, bool]] = []
    numbers: dict[str, str] = {}
    for number, (name, family, level) in enumerate(zip(names, families, levels, strict=True), 1):
        if not name.strip():
            continue
        offered = level == _OFFERED
        chosen: Family | None = _one_of(family, FAMILIES, "family")
        group = Group(
            name,
            chosen or suggested_family(name),
            _one_of("" if offered else level, ABSTRACTIONS, "level"),
        )
        groups.append((group, offered))
        numbers[str(number)] = name
    return groups, numbers


def _labels(form: FormData, numbers: Mapping[str, str]) -> tuple[FeatureLabel, ...]:
    """Each label: its input names a group by number or by name; an unknown name adds a group."""
    accepted = set(_texts(form, "accepted"))
    by_name = {normalised(name): name for name in numbers.values()}
    labels: list[FeatureLabel] = []
    for name in form:
        if not name.startswith(_LABEL):
            continue
        feature, value = _labelled(name.removeprefix(_LABEL)), _text(form, name).strip()
        group = numbers.get(value) or by_name.get(normalised(value))
        unclear = group is None and value.lower() == "unclear"
        # A number without a group: it was emptied.
        if group is None and not unclear and value and not value.isdecimal():
            group = by_name.setdefault(normalised(value), value)
        suggested = group is not None and str(feature) in accepted
        labels.append(FeatureLabel(feature, group, unclear, suggested))
    return tuple(labels)


def _labelled(text: str) -> LabelledRef:
    try:
        return parse_labelled(text)
    except InvalidReference as error:
        raise UnreadableForm("a label has no valid feature or example") from error


def _evidence(form: FormData) -> tuple[EvidenceLink, ...]:
    kinds, targets, notes = (_texts(form, f"evidence_{part}") for part in ("kind", "target", "note"))
    if not len(kinds) == len(targets) == len(notes):
        raise UnreadableForm("the evidence of the form is incomplete")
    return tuple(
        EvidenceLink(cast(EvidenceKind, kind), target, note)
        for kind, target, note in zip(kinds, targets, notes, strict=True)
    )


def _takes_theirs(form: FormData, name: str) -> bool:
    return name.startswith(_TAKE) and _text(form, name) == "theirs"


def _suggested(form: FormData, action: str, argument: str) -> dict[LabelledRef, str] | None:
    """The group to set for each feature when suggestions are accepted or proposed; None for other actions.

    The page sends all suggestions; the argument of the button restricts them to one feature.
    """
    if action not in ("accept", "propose"):
        return None
    field = "suggestion" if action == "accept" else "from_label"
    pairs: dict[LabelledRef, str] = {}
    texts = _text(form, field).split(";") if action == "accept" else _texts(form, field)
    for text in filter(None, texts):
        feature, _, group = text.partition(" ")
        if argument in ("", feature):
            pairs[_labelled(feature)] = group
    return pairs
