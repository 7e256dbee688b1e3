"""Files of annotations for tests: written from an atlas, read into it, and made by hand."""

import io

import openpyxl

from app.domain.refs import FeatureRef
from app.services.annotations.saving import history
from app.services.reading.context import AtlasContext
from app.services.sheet.files import export_annotations, read_sheet
from app.services.sheet.imports import apply_import, plan_import, rename_columns
from app.store.database.engine import write_session
from tests.support.annotated_atlas import NOW

LONG = "é=\r\n_x000D_" * 4000
FEATURE = FeatureRef(0, 3)


def export_sheet(team, file_format, name="root"):
    """The bytes of the file as that member of the team may have it."""
    return team.view(export_annotations, team[name], file_format).data


def import_sheet(team, file_format, data, name="root", mapping=None, now=NOW):
    """What the import of a file would change, and how many records it has changed."""
    heads, feature_notes = read_sheet(data, file_format)
    with write_session(team.engine) as session:
        plan = plan_import(
            AtlasContext(session, team.run, team[name]),
            rename_columns(heads, mapping or {}),
            feature_notes,
            now,
        )
        return plan, apply_import(AtlasContext(session, team.run), plan, now)


def workbook(*rows, **cells):
    """The bytes of a workbook with these rows, and with these values in cells by their names."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, value in cells.items():
        book.active[name] = value
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def history_of(team, head, name="ada"):
    """The revisions of one member's record, the newest first."""
    return team.view(history, team[name], head, name).revisions
