"""Importing a spreadsheet: a plan to check first, then all of it or nothing."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.annotations.records import Status, Subject
from app.errors import AppError
from app.services.annotations.second_looks import may_be_looked_at_again
from app.services.reading.context import AtlasContext
from app.services.sheet.import_rows import Importing, RowChange, read_row
from app.services.sheet.rows import HEAD_COLUMNS, NOTE_COLUMNS, READ_COLUMNS, InvalidCell, Row
from app.store import annotations as store
from app.store.annotators import CONSENSUS, ensure_annotator

# Columns of sheets that were made by hand.
ALIASES = {"description": "notes", "role": "roles", "comment": "notes"}
MAX_PEOPLE = 500
SheetName = Literal["heads", "feature_notes"]
Numbered = Sequence[tuple[int, Row]]
Watch = Callable[[], None]


@dataclass(frozen=True)
class RowError:
    """An error in one row of one sheet."""

    sheet: SheetName
    row: int
    message: str


class ImportRefused(AppError):
    """At least one row is wrong; nothing was imported."""

    status_code = 422

    def __init__(self, errors: Sequence[RowError]) -> None:
        first_errors = "; ".join(f"row {error.row} of {error.sheet}: {error.message}" for error in errors[:3])
        super().__init__(f"nothing was imported, {len(errors)} rows are wrong: {first_errors}")
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Plan:
    """The dry run of an import: its changes and its errors. A plan with errors cannot be applied."""

    changes: tuple[RowChange, ...]
    errors: tuple[RowError, ...]

    def count(self, kind: Literal["new", "changed", "unchanged"]) -> int:
        return sum(change.kind == kind for change in self.changes)


def own_name(name: str, columns: Sequence[str] = HEAD_COLUMNS) -> str | None:
    """The sheet's own name of a column, whatever its letter case, or one that ALIASES knows; None for others."""
    if name in columns:
        return name
    folded = ALIASES.get(name.strip().casefold(), name.strip().casefold())
    return folded if folded in columns else None


def rename_columns(
    rows: Numbered, mapping: Mapping[str, str], columns: Sequence[str] = HEAD_COLUMNS
) -> list[tuple[int, Row]]:
    """Rows with the sheet's own column names, by the mapping first, then by own_name.

    A column that is mapped to an empty name is dropped.

    Raises InvalidCell if two columns would get the same name.
    """
    renamed: list[tuple[int, Row]] = []
    for number, row in rows:
        cells: Row = {}
        for name, cell in row.items():
            ours = mapping[name] if name in mapping else own_name(name, columns) or name
            if ours in cells:
                raise InvalidCell(f"row {number} has two columns that are read as {ours[:60]!r}")
            if ours:
                cells[ours] = cell
        renamed.append((number, cells))
    return renamed


def plan_import(
    context: AtlasContext, heads: Numbered, notes: Numbered, now: datetime, watch: Watch = lambda: None
) -> Plan:
    """The changes that importing these rows would make, and the rows with errors; stores nothing.

    Reads of the store only context.records and context.second_looks. `watch` is called before each row: what it
    raises ends the work.
    """
    records = (*context.records, *context.second_looks)
    stored = {(record.subject, record.annotator): record for record in records}
    importing = Importing(context, stored, now)
    changes: list[RowChange] = []
    errors: list[RowError] = []
    seen: dict[tuple[Subject, str], int] = {}
    people: set[str] = set()
    sheets: tuple[tuple[SheetName, Numbered], ...] = (("heads", heads), ("feature_notes", notes))
    for sheet, rows in sheets:
        for number, row in rows:
            watch()
            try:
                change = read_row(importing, number, row, READ_COLUMNS if sheet == "heads" else NOTE_COLUMNS)
            except AppError as error:
                errors.append(RowError(sheet, number, str(error)))
                continue
            people |= {change.annotator, change.author}
            if len(people) > MAX_PEOPLE:
                errors.append(RowError(sheet, number, f"the sheet names more than {MAX_PEOPLE} people"))
                return Plan(tuple(changes), tuple(errors))
            key = (change.subject, change.annotator)
            if key in seen:
                message = f"row {seen[key]} is about {change.subject.ref} by {change.annotator!r} too"
                errors.append(RowError(sheet, number, message))
            seen[key] = number
            changes.append(change)
    return Plan(tuple(changes), tuple(errors or _looks_without_first(context, changes)))


def _looks_without_first(context: AtlasContext, changes: Sequence[RowChange]) -> list[RowError]:
    """The rows that would begin a second look at a head without a first record, in the file or the store."""
    records = context.outside_of_second_look.records
    never: tuple[Status, int] = ("draft", 1)
    firsts: dict[tuple[Subject, str], tuple[Status, int]] = {
        (record.subject, record.annotator): (record.status, record.version) for record in records
    }
    for change in changes:
        version = change.before.version + (change.kind == "changed") if change.before else change.version
        firsts[change.subject, change.annotator] = change.status, version
    return [
        RowError(
            "heads",
            change.row,
            f"there is no submitted record of {change.subject.ref} by {change.annotator!r} to look at again",
        )
        for change in changes
        if change.subject.second
        and change.kind == "new"
        and not may_be_looked_at_again(*firsts.get((Subject(change.subject.ref), change.annotator), never))
    ]


def apply_import(context: AtlasContext, plan: Plan, now: datetime) -> int:
    """Store every change of the plan and return their number. New annotators are created without a login.

    Raises ImportRefused if a row is wrong, and Conflict if a record has changed since the plan was made; the
    caller's transaction must then be rolled back.
    """
    if plan.errors:
        raise ImportRefused(plan.errors)
    moving = [change for change in plan.changes if change.kind != "unchanged"]
    ids = _people(context, moving, now)
    drafts = [(_draft(change, ids, now), change.created_at) for change in moving]
    store.save_new(context.session, context.atlas_id, drafts)
    return len(moving)


def _people(context: AtlasContext, changes: Sequence[RowChange], now: datetime) -> dict[str, int]:
    """The ids of everyone whose record it is or who is named as author, by name."""
    names = dict.fromkeys(name for change in changes for name in (change.annotator, change.author))
    return {
        name: ensure_annotator(context.session, name, now, "system" if name == CONSENSUS else "annotator").id
        for name in names
    }


def _draft(change: RowChange, ids: Mapping[str, int], now: datetime) -> store.Draft:
    return store.Draft(
        subject=change.subject,
        annotator_id=ids[change.annotator],
        author_id=ids[change.author],
        base_version=change.before.version if change.before else 0,
        idempotency_key=str(uuid.uuid4()),
        content=change.content,
        against=change.against,
        status=change.status,
        blind=change.blind,
        imported_at=now,
        first_version=change.version,
    )
