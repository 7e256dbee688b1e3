"""Export: what is in a file, for whom, and that it comes back identical after an import."""

import io
import json
from dataclasses import replace

import openpyxl
import pytest

from app.domain.annotations.note_text import InvalidText
from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.reading.visibility import visible_records
from app.services.sheet.files import SHEET_FORMATS, export_annotations, read_sheet
from app.services.sheet.imports import ImportRefused
from app.services.sheet.rows import rows_of
from app.store.annotations import get_atlas_id
from app.store.database.engine import open_store
from tests.support.annotated_atlas import later
from tests.support.annotating import Team
from tests.support.sheets import export_sheet, import_sheet


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_export_import_export_is_identical(team, file_format):
    first = export_sheet(team, file_format)
    assert export_sheet(team, file_format) == first
    plan, done = import_sheet(team, file_format, first, now=later(99))
    assert (done, plan.count("unchanged"), plan.errors) == (0, len(plan.changes), ())
    assert export_sheet(team, file_format) == first


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_export_into_another_store_and_out_again_is_identical(team, file_format, make_store):
    first = export_sheet(team, file_format)
    other = Team(open_store(make_store()), root={"role": "admin"})
    plan, done = import_sheet(other, file_format, first, now=later(99))
    assert done == plan.count("new") == (4 if file_format in ("csv", "parquet") else 5)
    rows = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"])
    if file_format in ("json", "xlsx"):
        assert export_sheet(other, file_format) == first
        kept = other.read(visible_records, other.read(get_atlas_id, "tiny"), other["root"])
        assert {record.given_by_sheet for record in kept} == {True}
        assert [replace(record, imported_at=None, given_by_sheet=False) for record in kept] == rows
    else:
        heads = rows_of(rows).heads
        assert [cells for _, cells in read_sheet(export_sheet(other, file_format), file_format)[0]] == heads
        assert export_sheet(other, file_format) == first
    other.engine.dispose()


def test_d16_an_export_for_a_blind_annotator_holds_nothing_that_is_hidden(team):
    other = HeadRef(2, 3)
    for file_format in ("csv", "json"):
        text = export_sheet(team, file_format, "ben").decode()
        assert "L0H1" in text  # which ben has submitted
        assert str(other) not in text
        assert "'=x" not in text
    book = openpyxl.load_workbook(io.BytesIO(export_sheet(team, "xlsx", "ben")))
    assert str(other) not in {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}


def test_the_sheets_of_the_workbook(team):
    book = openpyxl.load_workbook(io.BytesIO(export_sheet(team, "xlsx")))
    wanted = ["heads", "features", "tally", "layers", "agreement", "README", "feature_notes", "overflow"]
    assert book.sheetnames == wanted
    tally = {(row[0], row[1]): row[2:5] for row in book["tally"].iter_rows(min_row=2, values_only=True)}
    assert tally["ada", "monosemantic"] == (1, 1, 1)
    readme = {row[0]: row[1] for row in book["README"].iter_rows(min_row=2, values_only=True)}
    assert readme["run"] == team.run.record.fingerprint
    assert "SAE of layer 0" in readme
    assert readme["software"]


def test_g15_json_is_strict(team):
    def refuse(text):
        raise ValueError(text)

    whole = json.loads(export_sheet(team, "json"), parse_constant=refuse)
    assert (whole["format"], whole["version"], whole["atlas"]) == ("head-atlas annotations", 1, "tiny")


def test_g16_the_file_name_is_the_slug(team):
    assert team.view(export_annotations, team["ada"], "csv").file_name == "tiny-annotations.csv"


def test_g05_a_lone_surrogate_is_refused_and_never_reaches_a_workbook(team):
    with pytest.raises(InvalidText, match="U\\+D800 at position 1"):
        team.save("ada", HeadAnnotation(notes="a\ud800"), HeadRef(1, 0))
    whole = json.loads(export_sheet(team, "json"))
    whole["heads"][0]["notes"] = "b\ud800"
    with pytest.raises(ImportRefused, match="row 1 of heads: the notes has the character U\\+D800"):
        import_sheet(team, "json", json.dumps(whole).encode())
    assert openpyxl.load_workbook(io.BytesIO(export_sheet(team, "xlsx"))).sheetnames[0] == "heads"
