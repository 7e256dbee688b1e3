"""The import page: shows what an uploaded sheet would change, and then stores it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.errors import AppError
from app.services.examples.from_records import summarise_run
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import check_may_write
from app.services.sheet.imports import (
    Numbered,
    Plan,
    Watch,
    apply_import,
    own_name,
    plan_import,
    rename_columns,
)
from app.services.sheet.models import CellChange, ImportDiff, ImportPage, MappedColumn, PlannedRow, WrongRow
from app.services.sheet.reading_process import read_upload
from app.services.sheet.rows import CONTENT_COLUMNS, NOTE_COLUMNS, READ_COLUMNS
from app.store.annotations import Conflict

MAX_LISTED = 100
MAX_TEXT = 120


class PlanChanged(AppError):
    """The stored records, or the column mapping, have changed since the changes were shown."""

    status_code = 409


@dataclass(frozen=True)
class Upload:
    """An uploaded file, and the mapping from its columns to the names of the sheet's columns."""

    file_name: str
    data: bytes = field(repr=False)
    mapping: Mapping[str, str] = field(default_factory=dict[str, str])


def import_page(context: AtlasContext, diff: ImportDiff | None = None, message: str = "") -> ImportPage:
    """The import page. Raises Forbidden for viewers who may not write."""
    check_may_write(context.viewer, context.viewer.name)
    return ImportPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        diff=diff,
        ours=CONTENT_COLUMNS,
        message=message,
        role=context.viewer.role,
    )


def check_may_import(context: AtlasContext) -> None:
    """Raise Forbidden for viewers who may not write, and read what plan_upload needs of the store."""
    check_may_write(context.viewer, context.viewer.name)
    _ = context.atlas_id, context.records, context.second_looks


def plan_upload(
    context: AtlasContext, upload: Upload, now: datetime, watch: Watch = lambda: None
) -> tuple[Plan, tuple[MappedColumn, ...]]:
    """The plan of what the file would change, and how its columns are read; stores nothing.

    It needs no store once check_may_import has run, so that no connection waits for it. `watch` is called while it
    works, and may raise to end it.

    Raises InvalidSheet or Forbidden.
    """
    check_may_import(context)
    heads, notes = read_upload(upload.data, upload.file_name, watch)
    mapping = {**suggested_mapping(heads), **upload.mapping}
    own_notes = rename_columns(notes, {}, NOTE_COLUMNS)
    plan = plan_import(context, rename_columns(heads, mapping), own_notes, now, watch)
    return plan, tuple(MappedColumn(column, ours) for column, ours in mapping.items())


def suggested_mapping(heads: Numbered) -> dict[str, str]:
    """The sheet's column suggested for each column with another name: as own_name knows it, or empty."""
    names = list(dict.fromkeys(name for _, row in heads for name in row))
    taken = {name for name in names if name in READ_COLUMNS}
    mapping: dict[str, str] = {}
    for name in names:
        if name not in READ_COLUMNS:
            ours = own_name(name)
            mapping[name] = ours if ours and ours not in taken else ""
            taken.add(mapping[name])
    return mapping


def describe_plan(upload: Upload, token: str, plan: Plan, columns: tuple[MappedColumn, ...]) -> ImportDiff:
    """The plan as the page shows it: the first changes in words, and totals of all."""
    moving = [change for change in plan.changes if change.kind != "unchanged"]
    return ImportDiff(
        file_name=upload.file_name[:200],
        token=token,
        plan=plan_digest(plan),
        changes=tuple(
            PlannedRow(
                change.row,
                change.kind,
                str(change.subject.ref),
                change.annotator,
                tuple(CellChange(name, _short(old), _short(new)) for name, old, new in change.fields),
            )
            for change in moving[:MAX_LISTED]
        ),
        wrong=tuple(WrongRow(error.sheet, error.row, error.message) for error in plan.errors[:MAX_LISTED]),
        columns=columns,
        n_new=plan.count("new"),
        n_changed=plan.count("changed"),
        n_unchanged=plan.count("unchanged"),
        n_wrong=len(plan.errors),
    )


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def plan_digest(plan: Plan) -> str:
    """A digest that changes if the plan would store something else, or replace another version."""
    parts = [
        repr((change.row, change.kind, str(change.subject), change.annotator, change.author, change.status))
        + repr((change.before.version if change.before else 0, change.fields))
        for change in plan.changes
    ]
    parts += [repr((error.sheet, error.row, error.message)) for error in plan.errors]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def apply_plan(context: AtlasContext, plan: Plan, digest: str, now: datetime) -> int:
    """Import what was shown, all or nothing, and return the number of stored records.

    Raises PlanChanged if the plan is not the one that was shown, ImportRefused if a row is wrong; the caller's
    transaction must then be rolled back.
    """
    changed = "the records have changed since this was shown; look again before you store it"
    if plan_digest(plan) != digest:
        raise PlanChanged(changed)
    try:
        return apply_import(context, plan, now)
    except Conflict as error:
        raise PlanChanged(changed) from error
