"""The rows of the spreadsheet, as text cells: one per head and annotator, and one per feature note."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from app.domain.annotations.fields import (
    Kind,
    field_specs,
    number_fields,
    sheet_columns,
    yes_or_no_fields,
)
from app.domain.annotations.json_form import content_to_json, head_from_json
from app.domain.annotations.records import Content, FeatureNote, HeadAnnotation, Revision
from app.domain.annotations.roles import find_role
from app.domain.refs import HeadRef
from app.errors import AppError
from app.services.rollups.agreement import final_type
from app.services.rollups.rollup import novel_heads, submitted_heads
from app.store.annotators import CONSENSUS

Row = dict[str, str]
# What identifies a row, and where its record stands; never content.
HEAD_KEY = ("head", "annotator")
NOTE_KEY = ("feature", "sae", "annotator")
STATE = ("status", "version", "updated_at", "author", "blind")
PROVENANCE = ("run", "against_sae", "software")
# Follow from the others: written for readers, not read back.
DERIVED = (
    "head_type",
    "computed_type",
    "provisional",
    "n_groups",
    "largest_group",
    "new_groups",
    "n_evidence",
    "agreement",
)
# Whether others' settled types of the head are the same. `single` is asked for, and an empty cell.
AGREEMENTS = ("agree", "differs", "single")
HEAD_CONTENT = sheet_columns(HeadAnnotation)
NOTE_CONTENT = sheet_columns(FeatureNote)
# What a column of a sheet made by hand may be read as.
CONTENT_COLUMNS = (*HEAD_KEY, "status", *HEAD_CONTENT)
HEAD_COLUMNS = (*HEAD_KEY, *STATE, *DERIVED, *HEAD_CONTENT, *PROVENANCE)
# Part of the key too, and the last column of a whole file, where there are second looks: `second`, else empty.
LOOK, SECOND = "look", "second"
READ_COLUMNS = (*HEAD_COLUMNS, LOOK)
NOTE_COLUMNS = (*NOTE_KEY, *STATE, *NOTE_CONTENT, *PROVENANCE)
NUMBER_COLUMNS = frozenset(("version", "n_groups", "n_evidence", *number_fields(HeadAnnotation)))
YES_OR_NO_COLUMNS = frozenset(("blind", "provisional", *yes_or_no_fields(HeadAnnotation)))


class InvalidSheet(AppError):
    """The file is not a spreadsheet of annotations, or exceeds the size limit."""

    status_code = 422


class InvalidCell(AppError):
    """A cell of an imported sheet that cannot be read."""

    status_code = 422


class NumberCell(str):
    """The text of a cell that held a number.

    It cannot stand for a head, since 5.1 and 5.10 are one number.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Rows:
    """The rows of an export, in the order of the records. columns: the columns to write of heads."""

    heads: list[Row]
    notes: list[Row]
    columns: tuple[str, ...] = HEAD_COLUMNS


def rows_of(records: Sequence[Revision], second_looks: Sequence[Revision] = ()) -> Rows:
    """The records as rows of text, which depend on nothing else: neither on time nor on machine.

    Second looks follow the records, in rows that others' types and names are not compared with.
    """
    submitted = submitted_heads(records)
    new = {name: novel_heads(heads) for name, heads in submitted.items()}
    heads: list[Row] = []
    for record in records:
        if isinstance(record.subject.ref, HeadRef):
            groups = new.get(record.annotator, {}).get(record.subject.ref, ())
            among = {"new_groups": "; ".join(groups), "agreement": _agreement(record, submitted)}
            heads.append(_row(record) | among)
    notes = [_row(record) for record in records if not isinstance(record.subject.ref, HeadRef)]
    if not second_looks:
        return Rows(heads, notes)
    heads = [row | {LOOK: ""} for row in heads]
    heads += [_row(look) | {"new_groups": "", "agreement": "", LOOK: SECOND} for look in second_looks]
    return Rows(heads, notes, READ_COLUMNS)


def _agreement(record: Revision, submitted: dict[str, dict[HeadRef, HeadAnnotation]]) -> str:
    """Whether other annotators' settled types of the head equal this record's: one of AGREEMENTS, or empty.

    The consensus does not count as an annotator.
    """
    ref = record.subject.ref
    own = final_type(record.head)
    if own is None or record.annotator == CONSENSUS or not isinstance(ref, HeadRef):
        return ""
    annotations = (
        heads[ref]
        for name, heads in submitted.items()
        if name not in (record.annotator, CONSENSUS) and ref in heads
    )
    others = {head_type for head in annotations if (head_type := final_type(head))}
    return "" if not others else "agree" if others == {own} else "differs"


def _row(record: Revision) -> Row:
    key = {"annotator": record.annotator}
    if isinstance(record.content, HeadAnnotation):
        key["head"] = str(record.subject.ref)
    else:
        key |= {"feature": str(record.subject.ref), "sae": record.subject.sae}
    return {
        **key,
        "status": record.status,
        "version": str(record.version),
        "updated_at": record.created_at.isoformat(),
        "author": record.author,
        "blind": _flag(record.blind),
        **content_cells(record.content),
        **_derived(record.content),
        "run": record.against.run,
        "against_sae": record.against.sae,
        "software": record.against.software,
    }


def content_cells(content: Content) -> Row:
    """The annotation's content as text cells: lists as JSON, roles separated by semicolons."""
    return {name: _cell(name, value) for name, value in content_to_json(content).items()}


def _cell(name: str, value: Any) -> str:
    if name == "roles":
        return "; ".join(value)
    if isinstance(value, bool):
        return _flag(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    return "" if value is None else str(value)


def _flag(value: bool) -> str:
    return "yes" if value else "no"


def _derived(content: Content) -> Row:
    if isinstance(content, FeatureNote):
        return {}
    computed = content.computed
    return {
        "head_type": content.head_type or "",
        "computed_type": computed.head_type or "",
        "provisional": _flag(content.provisional),
        "n_groups": str(len(computed.groups)),
        "largest_group": computed.groups[0][0] if computed.groups else "",
        "n_evidence": str(len(content.evidence)),
    }


def read_content(cells: Mapping[str, str], before: Content) -> Content:
    """The content with the values of these cells; fields without a cell stay as they were.

    Raises InvalidCell, or the domain's error for an invalid value.
    """
    if isinstance(before, FeatureNote):
        return replace(before, **{name: cells[name] for name in NOTE_CONTENT if name in cells})
    values = {name: _read(name, cells[name]) for name in HEAD_CONTENT if name in cells}
    unchanged = {field.name: value for field, value in _pairs(before) if field.name not in values}
    return replace(head_from_json(values), **unchanged)


def _pairs(content: HeadAnnotation) -> list[tuple[Any, Any]]:
    return [(field, getattr(content, field.name)) for field in fields(content)]


def _read(name: str, text: str) -> Any:
    return _READERS[field_specs(HeadAnnotation)[name].kind](name, text)


def _read_json(name: str, text: str) -> Any:
    if not text.strip():
        return []
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidCell(f"column {name!r} is not JSON: {text[:60]!r}") from error


def read_number(name: str, text: str) -> int:
    """The whole number in a cell. Raises InvalidCell."""
    plain = text.strip().removesuffix(".0")
    if not plain.isascii() or not plain.isdigit() or len(plain) > 9:
        raise InvalidCell(f"column {name!r} is {text[:60]!r}, not a whole number")
    return int(plain)


def read_flag(name: str, text: str) -> bool:
    """The yes or no in a cell, an empty one being no. Raises InvalidCell."""
    meanings = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False, "": False}
    if text.strip().lower() not in meanings:
        raise InvalidCell(f"column {name!r} is {text[:60]!r}, not yes or no")
    return meanings[text.strip().lower()]


def read_time(name: str, text: str) -> datetime:
    """The time in a cell, in ISO 8601 with a time zone. Raises InvalidCell."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidCell(
            f"column {name!r} is {text[:60]!r}, not a time such as 2026-03-01T12:00:00+00:00"
        ) from error
    if time.tzinfo is None:
        raise InvalidCell(f"column {name!r} is {text[:60]!r}, a time without a zone")
    return time


def _read_roles(_name: str, text: str) -> list[str]:
    names = [part.strip() for part in text.replace(",", ";").split(";")]
    return [find_role(name).name for name in names if name]


_READERS: dict[Kind, Callable[[str, str], Any]] = {
    "text": lambda _name, text: text,
    "number": read_number,
    "optional_number": lambda name, text: read_number(name, text) if text.strip() else None,
    "flag": read_flag,
    "choice": lambda _name, text: text.strip() or None,
    "names": _read_roles,
    "json": _read_json,
}
