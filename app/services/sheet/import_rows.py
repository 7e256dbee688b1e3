"""One row of an imported sheet: what it would change, or what is wrong with it."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from app.domain.annotations.note_text import check_line
from app.domain.annotations.records import (
    MAX_IMPORTED_VERSION,
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
from app.services.annotations.saving import against_of, check_labels, subject_of
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import check_may_write
from app.services.sheet.rows import (
    LOOK,
    PROVENANCE,
    SECOND,
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
from app.store.annotators import CONSENSUS, PUBLISHED

FIRST_YEAR, CLOCKS_DIFFER = 2000, timedelta(days=1)
# Cells that are stored beside the content, and whose columns hold one short line.
_LINES = frozenset(("annotator", "author", "sae", *PROVENANCE))
_CHECKSUM = re.compile("[0-9a-f]{64}")


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
class Importing:
    """The context of an import: the atlas, stored records by subject and annotator, and the time."""

    context: AtlasContext
    stored: dict[tuple[Subject, str], Revision]
    now: datetime


def read_row(importing: Importing, number: int, row: Row, columns: tuple[str, ...]) -> RowChange:
    """The effect of importing the row. Raises AppError with what is wrong in it."""
    for name in row:
        if name not in columns:
            raise InvalidCell(f"{name[:60]!r} is not a column of the sheet; map it to one, or to nothing")
        if name in _LINES:
            check_line(row[name], f"column {name!r}")
    viewer = importing.context.viewer
    subject = _subject(importing.context, row, columns)
    annotator = row.get("annotator", "").strip() or viewer.name
    if annotator.casefold() == PUBLISHED:
        raise InvalidCell("records of 'published' come with the program and are not imported")
    check_may_write(viewer, annotator)
    if subject.second and annotator == CONSENSUS:
        raise InvalidCell("the consensus has no second look: only people look at a head twice")
    before = importing.stored.get((subject, annotator))
    change = _new(importing, number, row, subject, annotator)
    check_content(change.content, subject)
    if before is not None:
        change = _against_stored(importing, row, change, before)
    if change.kind != "unchanged" and _is_of_this_run(importing, change):
        check_labels(importing.context.run, subject, change.content)
    return change


def _is_of_this_run(importing: Importing, change: RowChange) -> bool:
    """Whether the run can tell if the labels are right: those of another's SAE or corpus only that run knows."""
    here = against_of(importing.context.run, change.subject.ref.layer)
    of_examples = isinstance(change.content, HeadAnnotation) and change.content.of_examples
    return change.against.sae == here.sae and (not of_examples or change.against.run == here.run)


def _new(importing: Importing, number: int, row: Row, subject: Subject, annotator: str) -> RowChange:
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
        created_at=_time(cells["updated_at"], importing.now) if cells["updated_at"] else importing.now,
        version=_version(cells["version"]) if cells["version"] else 1,
        blind=trusted and read_flag("blind", cells["blind"]),
        fields=_differences(empty, content),
    )


def _version(text: str) -> int:
    version = read_number("version", text)
    if not 1 <= version <= MAX_IMPORTED_VERSION:
        raise InvalidCell(f"version {version} cannot be imported; versions are 1 to {MAX_IMPORTED_VERSION}")
    return version


def _time(text: str, now: datetime) -> datetime:
    time = read_time("updated_at", text)
    # Compared as written: the first and the last year have no form in other zones.
    if not FIRST_YEAR <= time.year <= now.year + 1 or time > now + CLOCKS_DIFFER:
        raise InvalidCell(
            f"column 'updated_at' is {text[:60]!r}, which is not a time between {FIRST_YEAR} and now"
        )
    return time


def _against_stored(importing: Importing, row: Row, change: RowChange, before: Revision) -> RowChange:
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


def _subject(context: AtlasContext, row: Row, columns: tuple[str, ...]) -> Subject:
    """The head or feature of the row. Raises InvalidCell, InvalidReference or NotFound.

    A feature may be one of an SAE that the live run does not have: notes outlive runs.
    """
    run = context.run
    if "head" in columns:
        text = row.get("head", "")
        if not text.strip():
            raise InvalidCell("the row has no head")
        if isinstance(text, NumberCell):
            raise InvalidCell(f"{text} is not a head: 5.1 and 5.10 are one number; write L5H1")
        subject = subject_of(run, HeadRef.parse(text))
        look = row.get(LOOK, "").strip()
        if look not in ("", SECOND):
            raise InvalidCell(f"column {LOOK!r} is {look[:60]!r}, neither {SECOND!r} nor empty")
        return replace(subject, second=look == SECOND)
    ref = FeatureRef.parse(row.get("feature", ""))
    sae = row.get("sae", "").strip()
    if not sae or any(sae == of_run.checksum for of_run in run.record.saes):
        subject = subject_of(run, ref)
        if sae not in ("", subject.sae):
            raise InvalidCell(f"{ref} is not a feature of the SAE {sae[:8]}, which belongs to another layer")
        return subject
    if not _CHECKSUM.fullmatch(sae):
        raise InvalidCell(f"{sae[:60]!r} is not the checksum of an SAE")
    if ref.layer >= run.record.model.n_layers:
        raise InvalidCell(
            f"{ref} is not a feature of this model, which has {run.record.model.n_layers} layers"
        )
    return Subject(ref, sae)


def _status(text: str, default: Status) -> Status:
    if not text.strip():
        return default
    for status in STATUSES:
        if status == text.strip():
            return status
    raise InvalidCell(f"{text[:60]!r} is an unknown status; choose from {', '.join(STATUSES)}")
