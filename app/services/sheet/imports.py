"""Importing a spreadsheet: a plan to check first, then all of it or nothing."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.domain.annotations.records import (
    STATUSES,
    Against,
    Content,
    FeatureNote,
    HeadAnnotation,
    Revision,
    Status,
    Subject,
    check_content,
)
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError
from app.services.annotations.saving import against_of, subject_of
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import check_may_write
from app.services.sheet.rows import (
    HEAD_COLUMNS,
    NOTE_COLUMNS,
    PROVENANCE,
    STATE,
    InvalidCell,
    NumberCell,
    Row,
    content_cells,
    read_content,
    read_flag,
    read_number,
    read_time,
)
from app.store import annotations as store
from app.store.annotators import CONSENSUS, PUBLISHED, ensure_annotator
from app.store.atlas.reads import LiveRun

# Columns of sheets that were made by hand.
ALIASES = {"description": "notes", "role": "roles", "comment": "notes"}
SheetName = Literal["heads", "feature_notes"]
Numbered = Sequence[tuple[int, Row]]


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
class RowChange:
    """The effect of importing one row. `fields`: content cells that change, as (name, before, after)."""

    row: int
    kind: Literal["new", "changed", "unchanged"]
    subject: Subject
    annotator: str
    author: str
    content: Content
    status: Status
    before: Revision | None
    against: Against
    created_at: datetime
    version: int
    blind: bool
    fields: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Plan:
    """The dry run of an import: its changes and its errors. A plan with errors cannot be applied."""

    changes: tuple[RowChange, ...]
    errors: tuple[RowError, ...]

    def count(self, kind: Literal["new", "changed", "unchanged"]) -> int:
        return sum(change.kind == kind for change in self.changes)


@dataclass(frozen=True)
class _Import:
    """The context of an import: the atlas, stored records by subject and annotator, and the time."""

    context: AtlasContext
    stored: dict[tuple[Subject, str], Revision]
    now: datetime


def rename_columns(rows: Numbered, mapping: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Rows with the sheet's own column names, by the mapping first, then by ALIASES.

    A column that is mapped to an empty name is dropped.

    Raises InvalidCell if two columns would get the same name.
    """
    names = {**ALIASES, **mapping}
    renamed: list[tuple[int, Row]] = []
    for number, row in rows:
        cells: Row = {}
        for name, cell in row.items():
            ours = names.get(name, names.get(name.lower(), name))
            if ours in cells:
                raise InvalidCell(f"row {number} has two columns that are read as {ours[:60]!r}")
            if ours:
                cells[ours] = cell
        renamed.append((number, cells))
    return renamed


def plan_import(context: AtlasContext, heads: Numbered, notes: Numbered, now: datetime) -> Plan:
    """The changes that importing these rows would make, and the rows with errors; stores nothing."""
    stored = {(record.subject, record.annotator): record for record in context.records}
    importing = _Import(context, stored, now)
    changes: list[RowChange] = []
    errors: list[RowError] = []
    seen: dict[tuple[Subject, str], int] = {}
    sheets: tuple[tuple[SheetName, Numbered], ...] = (("heads", heads), ("feature_notes", notes))
    for sheet, rows in sheets:
        for number, row in rows:
            try:
                change = _read_row(importing, number, row, HEAD_COLUMNS if sheet == "heads" else NOTE_COLUMNS)
            except AppError as error:
                errors.append(RowError(sheet, number, str(error)))
                continue
            key = (change.subject, change.annotator)
            if key in seen:
                message = f"row {seen[key]} is about {change.subject.ref} by {change.annotator!r} too"
                errors.append(RowError(sheet, number, message))
            seen[key] = number
            changes.append(change)
    return Plan(tuple(changes), tuple(errors))


def _read_row(importing: _Import, number: int, row: Row, columns: tuple[str, ...]) -> RowChange:
    for name in row:
        if name not in columns:
            raise InvalidCell(f"{name[:60]!r} is not a column of the sheet; map it to one, or to nothing")
    viewer = importing.context.viewer
    subject = _subject(importing.context.run, row, columns)
    annotator = row.get("annotator", "").strip() or viewer.name
    if annotator.casefold() == PUBLISHED:
        raise InvalidCell("records of 'published' come with the program and are not imported")
    check_may_write(viewer, annotator)
    before = importing.stored.get((subject, annotator))
    change = _new(importing, number, row, subject, annotator)
    check_content(change.content, subject)
    return change if before is None else _against_stored(importing, row, change, before)


def _new(importing: _Import, number: int, row: Row, subject: Subject, annotator: str) -> RowChange:
    """A change that creates a record, with the version, time and provenance that the row states."""
    empty: Content = HeadAnnotation() if isinstance(subject.ref, HeadRef) else FeatureNote()
    viewer = importing.context.viewer
    here = against_of(importing.context.run, subject.ref.layer)
    cells = {name: row.get(name, "").strip() for name in (*STATE, *PROVENANCE)}
    # Who said it, and whether blind, is for an admin to vouch for.
    trusted = viewer.role == "admin"
    content = read_content(row, empty)
    return RowChange(
        row=number,
        kind="new",
        subject=subject,
        annotator=annotator,
        author=(cells["author"] if trusted else "") or viewer.name,
        content=content,
        status=_status(cells["status"], "submitted"),
        before=None,
        against=Against(
            cells["run"] or here.run,
            cells["against_sae"] if cells["run"] else here.sae,
            cells["software"] or here.software,
        ),
        created_at=read_time("updated_at", cells["updated_at"]) if cells["updated_at"] else importing.now,
        version=max(1, read_number("version", cells["version"])) if cells["version"] else 1,
        blind=trusted and read_flag("blind", cells["blind"]),
        fields=_differences(empty, content),
    )


def _against_stored(importing: _Import, row: Row, change: RowChange, before: Revision) -> RowChange:
    """A change of the stored record; columns that the row lacks stay as they are."""
    content = read_content(row, before.content)
    check_content(content, change.subject)
    status = _status(row.get("status", ""), before.status)
    same = before.content == content and before.status == status
    if not same and row.get("version", "").strip() and change.version != before.version:
        raise InvalidCell(
            f"{change.subject.ref} has changed since the export: it is at version {before.version}, "
            f"the row is of version {change.version}"
        )
    return replace(
        change,
        kind="unchanged" if same else "changed",
        author=importing.context.viewer.name,
        content=content,
        status=status,
        before=before,
        against=before.against,
        created_at=importing.now,
        blind=False,
        fields=_differences(before.content, content),
    )


def _differences(before: Content, after: Content) -> tuple[tuple[str, str, str], ...]:
    old = content_cells(before)
    return tuple((name, old[name], cell) for name, cell in content_cells(after).items() if cell != old[name])


def _subject(run: LiveRun, row: Row, columns: tuple[str, ...]) -> Subject:
    """The head or feature of the row. Raises InvalidCell, InvalidReference or NotFound."""
    if "head" in columns:
        text = row.get("head", "")
        if not text.strip():
            raise InvalidCell("the row has no head")
        if isinstance(text, NumberCell):
            raise InvalidCell(f"{text} is not a head: 5.1 and 5.10 are one number; write L5H1")
        return subject_of(run, HeadRef.parse(text))
    ref = FeatureRef.parse(row.get("feature", ""))
    sae = row.get("sae", "").strip()
    return Subject(ref, sae) if sae else subject_of(run, ref)


def _status(text: str, default: Status) -> Status:
    if not text.strip():
        return default
    for status in STATUSES:
        if status == text.strip():
            return status
    raise InvalidCell(f"{text[:60]!r} is an unknown status; choose from {', '.join(STATUSES)}")


def apply_import(context: AtlasContext, plan: Plan, now: datetime) -> int:
    """Store every change of the plan and return their number. New annotators are created without a login.

    Raises ImportRefused if a row is wrong, and Conflict if a record has changed since the plan was made; the
    caller's transaction must then be rolled back.
    """
    if plan.errors:
        raise ImportRefused(plan.errors)
    done = 0
    for change in plan.changes:
        if change.kind == "unchanged":
            continue
        names = (change.annotator, change.author)
        owner, author = (
            ensure_annotator(context.session, name, now, "system" if name == CONSENSUS else "annotator")
            for name in names
        )
        draft = store.Draft(
            subject=change.subject,
            annotator_id=owner.id,
            author_id=author.id,
            base_version=change.before.version if change.before else 0,
            idempotency_key=str(uuid.uuid4()),
            content=change.content,
            against=change.against,
            status=change.status,
            blind=change.blind,
            imported_at=now,
            first_version=change.version,
        )
        store.save(context.session, context.atlas_id, draft, change.created_at)
        done += 1
    return done
