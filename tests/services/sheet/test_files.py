"""Export and import in every format: identical text, no formulas, all or nothing."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.annotations.note_text import MAX_NOTE_BYTES, InvalidText
from app.domain.annotations.records import Against, FeatureNote, HeadAnnotation, Revision, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError
from app.services.annotations.history import history_page
from app.services.annotations.saving import history
from app.services.reading.cells import escape_cell, unescape_cell
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import visible_records
from app.services.sheet import imports
from app.services.sheet import xlsx as spreadsheet_xlsx
from app.services.sheet.csv_json_parquet import InvalidSheet, read_csv, write_csv
from app.services.sheet.files import SHEET_FORMATS, export_annotations, read_sheet
from app.services.sheet.imports import ImportRefused, apply_import, plan_import, rename_columns
from app.services.sheet.rows import HEAD_COLUMNS, InvalidCell, read_content, rows_of
from app.services.sheet.xlsx import read_xlsx, write_xlsx
from app.store.annotations import Conflict, get_atlas_id
from app.store.database.engine import open_store, write_session
from tests.support.annotated_atlas import NOW, labelled, later
from tests.support.annotating import HEAD, Team
from tests.support.annotation_strategies import ODD_TEXTS, notes
from tests.support.annotation_strategies import annotations as any_annotation
from tests.support.queries import counted
from tests.support.unstorable import UNSTORABLE

FORMULAS = (
    "=1+1",
    "+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "|cmd",
    "%x",
)
LONG = "é=\r\n_x000D_" * 4000
FEATURE = FeatureRef(0, 3)


def revision(content, number=0):
    subject = (
        Subject(HeadRef(5, number)) if isinstance(content, HeadAnnotation) else Subject(FEATURE, "a" * 64)
    )
    return Revision(subject, "ada", "ada", 1, "submitted", content, Against("r", "s", "0.1"), NOW)


@pytest.mark.parametrize("text", FORMULAS)
def test_g01_formulas_are_escaped(text):
    assert escape_cell(text) == "'" + text
    assert escape_cell("'" + text) == "''" + text


@settings(max_examples=600)
@given(st.text(st.sampled_from("'=+-@\t\r\n＝＋－＠|%a1 "), max_size=6) | notes)
def test_g01_the_escape_is_one_to_one(text):
    escaped = escape_cell(text)
    assert unescape_cell(escaped) == text
    assert not escaped or escaped[0] not in "=+-@\t\r\n|%"


@settings(max_examples=60, deadline=None)
@given(st.lists(any_annotation(5), min_size=1, max_size=4))
def test_every_format_gives_back_what_was_said(contents):
    rows = rows_of([revision(content, i) for i, content in enumerate(contents)])
    for read in (
        lambda: read_csv(write_csv(rows)),
        lambda: read_xlsx(write_xlsx(rows, []))[0],
    ):
        assert [read_content(cells, HeadAnnotation()) for _, cells in read()] == contents


@pytest.mark.parametrize(
    "text", [*ODD_TEXTS, *FORMULAS, LONG, "x" * MAX_NOTE_BYTES, "😀" * 16384, "↪ overflow 1: x"]
)
def test_g08_odd_texts_survive(text):
    content = HeadAnnotation(notes=text)
    rows = rows_of([revision(content)])
    assert read_csv(write_csv(rows))[0][1]["notes"] == text
    assert read_xlsx(write_xlsx(rows, []))[0][0][1]["notes"] == text


def test_g02_no_cell_of_the_workbook_is_a_formula_or_a_link():
    texts = [
        *FORMULAS,
        "{=1}",
        "http://x",
        "file:///etc/passwd",
        "mailto:a@b.c",
        "internal:A1",
        "=cmd|'/c'!A1",
    ]
    data = write_xlsx(rows_of([revision(HeadAnnotation(notes=text), i) for i, text in enumerate(texts)]), [])
    kinds = {
        cell.data_type
        for sheet in openpyxl.load_workbook(io.BytesIO(data))
        for row in sheet.iter_rows()
        for cell in row
    }
    assert "f" not in kinds
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets"))
        assert b"<f>" not in text
        assert b"hyperlink" not in text


def test_g04_long_notes_are_in_the_overflow_sheet_and_their_cell_says_so():
    book = openpyxl.load_workbook(
        io.BytesIO(write_xlsx(rows_of([revision(HeadAnnotation(notes="x" * 60000))]), []))
    )
    cells = [cell.value for cell in book["heads"][2]]
    assert any(str(cell).startswith("↪ overflow 1: xxx") for cell in cells)
    assert [row[0].value for row in book["overflow"].iter_rows(min_row=2)] == ["1"] * 3


def test_g04_a_cell_that_is_not_written_is_an_error(monkeypatch):
    monkeypatch.setattr(spreadsheet_xlsx, "MAX_CELL", 10**9)
    with pytest.raises(InvalidSheet, match="code -2"):
        write_xlsx(rows_of([revision(HeadAnnotation(notes="x" * 32768))]), [])


def test_g07_texts_that_look_like_numbers_or_dates_stay_text():
    for text in ("0123", "1e5", "5e1", "2024-01-01", "1/2", "TRUE"):
        rows = rows_of([revision(HeadAnnotation(notes=text))])
        assert read_xlsx(write_xlsx(rows, []))[0][0][1]["notes"] == text


def test_g08_csv_is_rfc_4180_with_a_byte_order_mark():
    data = write_csv(rows_of([revision(HeadAnnotation(notes='a "b", c;\r\nd'))]))
    assert data.startswith(b"\xef\xbb\xbfhead,annotator,")
    assert b'"a ""b"", c;\r\nd"' in data
    assert data.endswith(b"\r\n")
    header, row = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert tuple(header) == HEAD_COLUMNS
    assert len(row) == len(header)


@pytest.fixture
def team(engine):
    made = Team(engine, ada={}, ben={"blind": True}, root={"role": "admin"})
    made.save("ada", labelled(0, *"aaab?", None, notes="=1+1\r\n", roles=("induction", "copying")))
    made.save("ada", labelled(0, *"aaaa", notes=LONG), base=1, now=later(5))
    made.save(
        "ada", labelled(2, "x", override="unclear", override_reason="-"), HeadRef(2, 3), status="unsure"
    )
    made.save("ada", FeatureNote("of", "'=x"), FEATURE)
    made.save("ben", HeadAnnotation(confidence=2, surprising=True, knew_before="partly"))
    made.save("root", HeadAnnotation(notes="agreed"), for_consensus=True)
    return made


def exported(team, file_format, name="root"):
    return team.view(export_annotations, team[name], file_format).data


def imported(team, file_format, data, name="root", mapping=None, now=NOW):
    heads, feature_notes = read_sheet(data, file_format)
    with write_session(team.engine) as session:
        plan = plan_import(
            AtlasContext(session, team.run, team[name]),
            rename_columns(heads, mapping or {}),
            feature_notes,
            now,
        )
        return plan, apply_import(AtlasContext(session, team.run), plan, now)


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_export_import_export_is_identical(team, file_format):
    first = exported(team, file_format)
    assert exported(team, file_format) == first
    plan, done = imported(team, file_format, first, now=later(99))
    assert (done, plan.count("unchanged"), plan.errors) == (0, len(plan.changes), ())
    assert exported(team, file_format) == first


@pytest.mark.parametrize("file_format", SHEET_FORMATS)
def test_export_into_another_store_and_out_again_is_identical(team, file_format, make_store):
    first = exported(team, file_format)
    other = Team(open_store(make_store()), root={"role": "admin"})
    plan, done = imported(other, file_format, first, now=later(99))
    assert done == plan.count("new") == (4 if file_format in ("csv", "parquet") else 5)
    rows = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"])
    if file_format in ("json", "xlsx"):
        assert exported(other, file_format) == first
        kept = other.read(visible_records, other.read(get_atlas_id, "tiny"), other["root"])
        assert {record.given_by_sheet for record in kept} == {True}
        assert [replace(record, imported_at=None, given_by_sheet=False) for record in kept] == rows
    else:
        heads = rows_of(rows).heads
        assert [cells for _, cells in read_sheet(exported(other, file_format), file_format)[0]] == heads
        assert exported(other, file_format) == first
    other.engine.dispose()


def test_d16_an_export_for_a_blind_annotator_holds_nothing_that_is_hidden(team):
    other = HeadRef(2, 3)
    for file_format in ("csv", "json"):
        text = exported(team, file_format, "ben").decode()
        assert "L0H1" in text  # which ben has submitted
        assert str(other) not in text
        assert "'=x" not in text
    book = openpyxl.load_workbook(io.BytesIO(exported(team, "xlsx", "ben")))
    assert str(other) not in {str(cell.value) for sheet in book for row in sheet.iter_rows() for cell in row}


def test_the_sheets_of_the_workbook(team):
    book = openpyxl.load_workbook(io.BytesIO(exported(team, "xlsx")))
    wanted = ["heads", "features", "tally", "layers", "agreement", "README", "feature_notes", "overflow"]
    assert book.sheetnames == wanted
    tally = {(row[0], row[1]): row[2:5] for row in book["tally"].iter_rows(min_row=2, values_only=True)}
    assert tally["ada", "monosemantic"] == (1, 1, 1)
    readme = {row[0]: row[1] for row in book["README"].iter_rows(min_row=2, values_only=True)}
    assert readme["run"] == team.run.record.fingerprint
    assert "SAE of layer 0" in readme
    assert readme["software"]


def edited(data, edit):
    table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    edit(table)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def test_g09_only_the_cells_that_were_edited_change(team):
    def edit(table):
        next(row for row in table if row["annotator"] == "ben")["confidence"] = "4"

    plan, done = imported(team, "csv", edited(exported(team, "csv"), edit), now=later(60))
    assert (done, plan.count("changed"), plan.count("unchanged")) == (1, 1, 3)
    (change,) = (change for change in plan.changes if change.kind == "changed")
    assert change.fields == (("confidence", "2", "4"),)
    records = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"], [Subject(HEAD)])
    record = next(record for record in records if record.annotator == "ben")
    assert (record.version, record.author, record.created_at) == (2, "root", later(60))
    assert record.content == HeadAnnotation(confidence=4, surprising=True, knew_before="partly")


def test_a_row_that_changed_in_the_meantime_is_refused(team):
    def edit(table):
        next(row for row in table if row["annotator"] == "ben")["confidence"] = "4"

    data = edited(exported(team, "csv"), edit)
    team.save("ben", HeadAnnotation(confidence=1), base=1)
    with pytest.raises(
        ImportRefused, match="changed since the export: it is at version 2, the row is of version 1"
    ):
        imported(team, "csv", data)


def test_g12_one_wrong_row_and_nothing_is_imported(team):
    before = exported(team, "json")
    sheet = "head,roles,notes\nL0H0,induction,new\nL9H9,,\nL0H2,flying,\n,copying,\nL0H0,,again\nL0H3,,\x07\n"
    with pytest.raises(ImportRefused) as caught:
        imported(team, "csv", sheet.encode())
    assert [error.row for error in caught.value.errors] == [3, 4, 5, 6, 7]
    messages = [error.message for error in caught.value.errors]
    for part, message in zip(("L9H9", "'flying'", "no head", "row 2", "U+0007"), messages, strict=True):
        assert part in message
    assert exported(team, "json") == before


def test_a_sheet_made_by_hand(team):
    sheet = "Head,role,description,My column\n5.1,,,\n"
    with pytest.raises(ImportRefused, match="'My column' is not a column"):
        imported(team, "csv", sheet.encode())
    sheet = 'head,roles,description,mine\n0.2,"Induction, prev token",says who,x\nH1.3,,,\n'
    plan, done = imported(team, "csv", sheet.encode(), "ada", {"mine": ""})
    assert done == plan.count("new") == 2
    records = team.read(
        visible_records, team.read(get_atlas_id, "tiny"), team["ada"], [Subject(HeadRef(0, 2))]
    )
    assert records[0].content == HeadAnnotation(roles=("induction", "previous token"), notes="says who")
    assert (records[0].annotator, records[0].status, records[0].version) == ("ada", "submitted", 1)


def test_columns_that_are_missing_leave_what_is_stored(team):
    imported(team, "csv", b"head,annotator,confidence\nL0H1,ben,5\n")
    records = team.read(visible_records, team.read(get_atlas_id, "tiny"), team["root"], [Subject(HEAD)])
    record = next(record for record in records if record.annotator == "ben")
    assert record.content == HeadAnnotation(confidence=5, surprising=True, knew_before="partly")


@pytest.mark.parametrize(
    ("name", "row", "sentence"),
    [
        ("ada", "L0H1,ben", "only an admin"),
        ("ada", "L0H1,consensus", "only an admin"),
        ("root", "L0H1,published", "not imported"),
    ],
)
def test_whose_records_may_be_imported(team, name, row, sentence):
    with pytest.raises(ImportRefused, match=sentence):
        imported(team, "csv", f"head,annotator\n{row}\n".encode(), name)


def test_an_annotator_cannot_claim_that_someone_else_wrote_blind(team):
    imported(team, "csv", b"head,author,blind\nL0H2,root,yes\n", "ada")
    records = team.read(
        visible_records, team.read(get_atlas_id, "tiny"), team["ada"], [Subject(HeadRef(0, 2))]
    )
    assert (records[0].author, records[0].blind) == ("ada", False)


def workbook(*rows, **cells):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, value in cells.items():
        book.active[name] = value
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def test_a_workbook_made_by_hand(team):
    plan, _ = imported(team, "xlsx", workbook(["head", "roles", "confidence"], ["L0H2", "IN", 4]), "ada")
    assert plan.changes[0].content == HeadAnnotation(roles=("induction",), confidence=4)
    with pytest.raises(ImportRefused, match=r"5\.1 and 5\.10 are one number"):
        imported(team, "xlsx", workbook(["head"], [0.2]), "ada")


def test_a_cell_that_was_emptied_empties_the_field(team):
    data = workbook(["head", "annotator", "confidence", "notes"], ["L0H1", "ada", 3, None])
    imported(team, "xlsx", data)
    assert history_of(team, HEAD)[0].head.notes == ""
    assert history_of(team, HEAD)[0].head.confidence == 3


def test_g11_a_small_file_that_unpacks_to_a_large_one_is_refused(monkeypatch):
    monkeypatch.setattr(spreadsheet_xlsx, "MAX_UNPACKED_BYTES", 2**20)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"0" * (2**20 + 1))
    with pytest.raises(InvalidSheet, match="unpacks to 1048577 bytes"):
        read_xlsx(sink.getvalue())


def entity():
    source, sink = zipfile.ZipFile(io.BytesIO(workbook(["head"], ["L0H0"]))), io.BytesIO()
    with source, zipfile.ZipFile(sink, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "xl/workbook.xml":
                data = b'<!DOCTYPE a [<!ENTITY b "c">]>' + data
            archive.writestr(name, data)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("file_format", "data"),
    [
        ("csv", b""),
        ("csv", b"head\n\xff\n"),
        ("csv", b"head,head\nL0H0,L0H1\n"),
        ("csv", b'head\n"L0H0\n'),
        ("csv", b"head\nL0H0,more\n"),
        ("xlsx", b"PK\x03\x04 no archive"),
        ("xlsx", b"head\nL0H0\n"),
        ("xlsx", entity()),
        ("xlsx", workbook(["head"], ["=1+1"])),
        ("xlsx", workbook(["head", "notes"], ["L0H0", "\u21aa overflow 7: x"])),
        ("json", b"{"),
        ("json", b"[]"),
        ("json", b'{"format": "head-atlas annotations", "version": 2}'),
        ("json", b'{"format": "head-atlas annotations", "version": 1, "heads": [{"head": NaN}]}'),
        ("json", b'{"format": "head-atlas annotations", "version": 1, "heads": [{"head": 5}]}'),
        ("json", b"[" * 100_000),
        ("parquet", b"PAR1"),
        ("ods", b""),
    ],
)
def test_g11_files_that_are_not_what_they_say_are_refused_with_a_sentence(file_format, data):
    with pytest.raises(AppError) as caught:
        read_sheet(data, file_format)
    assert caught.value.status_code == 422
    assert "\n" not in str(caught.value)


def test_g10_fields_above_the_limit_of_the_csv_module_are_read_and_refused_by_their_row(team):
    with pytest.raises(ImportRefused, match=r"row 2 of heads: the notes has 200000 bytes; at most 65536"):
        imported(team, "csv", b"head,notes\nL0H0," + b"x" * 200_000 + b"\n")


def test_g15_json_is_strict(team):
    def refuse(text):
        raise ValueError(text)

    whole = json.loads(exported(team, "json"), parse_constant=refuse)
    assert (whole["format"], whole["version"], whole["atlas"]) == ("head-atlas annotations", 1, "tiny")


def test_g16_the_file_name_is_the_slug(team):
    assert team.view(export_annotations, team["ada"], "csv").file_name == "tiny-annotations.csv"


def test_g05_a_lone_surrogate_is_refused_and_never_reaches_a_workbook(team):
    with pytest.raises(InvalidText, match="U\\+D800 at position 1"):
        team.save("ada", HeadAnnotation(notes="a\ud800"), HeadRef(1, 0))
    whole = json.loads(exported(team, "json"))
    whole["heads"][0]["notes"] = "b\ud800"
    with pytest.raises(ImportRefused, match="row 1 of heads: the notes has the character U\\+D800"):
        imported(team, "json", json.dumps(whole).encode())
    assert openpyxl.load_workbook(io.BytesIO(exported(team, "xlsx"))).sheetnames[0] == "heads"


@pytest.mark.parametrize("code", [0, 1, 8, 11, 12, 14, 27, 31])
def test_g06_control_characters_are_refused_wherever_they_come_from(team, code):
    with pytest.raises(InvalidText, match=f"U\\+{code:04X} at position 1"):
        team.save("ada", HeadAnnotation(notes=f"a{chr(code)}"), HeadRef(1, 0))
    whole = json.loads(exported(team, "json"))
    whole["heads"][0]["notes"] = chr(code)
    with pytest.raises(ImportRefused, match=f"row 1 of heads: the notes has the character U\\+{code:04X}"):
        imported(team, "json", json.dumps(whole).encode())


@pytest.mark.parametrize(
    "text", ["a\tb", "a\nb", "a\r\nb", "_x0001_", "_x000D_", "\x7f", "\x85", "\ufffe", "\uffff"]
)
def test_g06_what_is_accepted_comes_back_from_a_workbook_as_it_was(text):
    rows = rows_of([revision(HeadAnnotation(notes=text))])
    assert read_xlsx(write_xlsx(rows, []))[0][0][1]["notes"] == text


def test_g12_a_sheet_of_another_version_of_the_format_is_refused_with_both_versions():
    data = json.dumps({"format": "head-atlas annotations", "version": 0, "heads": []}).encode()
    with pytest.raises(InvalidSheet, match="format version 0; this version reads 1"):
        read_sheet(data, "json")


def test_g12_two_columns_that_would_be_read_as_one_are_refused(team):
    with pytest.raises(InvalidCell, match="row 2 has two columns that are read as 'notes'"):
        imported(team, "csv", b"head,notes,description\nL1H0,a,b\n")
    imported(team, "csv", b"head,notes,description\nL1H0,a,b\n", mapping={"description": ""})


LINES = ("annotator", "author", "run", "against_sae", "software")


@pytest.mark.parametrize("text", [*UNSTORABLE, "x" * 401, "two\nlines"])
@pytest.mark.parametrize(("sheet", "name"), [*(("heads", n) for n in LINES), ("feature_notes", "sae")])
def test_text_beside_the_content_is_checked_by_its_row_and_nothing_is_stored(team, sheet, name, text):
    whole = json.loads(exported(team, "json"))
    whole["heads"][0]["annotator"] = "cleo"  # a new record
    whole[sheet][0][name] = text
    before = exported(team, "json")
    with pytest.raises(ImportRefused, match=f"1 rows are wrong: row 1 of {sheet}: column '{name}' has "):
        imported(team, "json", json.dumps(whole).encode())
    assert exported(team, "json") == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature": "L0F999999"}, "L0F999999 is not a feature of the atlas"),
        ({"feature": "L0F999999", "sae": ""}, "L0F999999 is not a feature of the atlas"),
        ({"feature": "L2F3"}, "L2F3 is not a feature of the SAE 00000000, which is of another layer"),
        ({"feature": "L9F3", "sae": "a" * 64}, "L9F3 is not a feature of this model"),
        ({"sae": "mine"}, "'mine' is not the checksum of an SAE"),
    ],
)
def test_a_note_needs_a_feature_that_exists(team, change, sentence):
    whole = json.loads(exported(team, "json"))
    whole["feature_notes"][0].update(change)
    with pytest.raises(ImportRefused, match=re.escape(sentence)):
        imported(team, "json", json.dumps(whole).encode())


def test_a_note_of_an_earlier_runs_sae_is_imported(team):
    whole = json.loads(exported(team, "json"))
    whole["feature_notes"][0].update(sae="a" * 64, feature="L0F999999")
    assert imported(team, "json", json.dumps(whole).encode())[1] == 1


def history_of(team, head, name="ada"):
    return team.view(history, team[name], head, name)


def test_an_imported_record_can_be_saved_on_and_its_version_has_the_limit_of_the_form(team):
    for version in ("0", "1000001", "999999999"):
        row = f"head,notes,version\nL1H1,x,{version}\n".encode()
        with pytest.raises(ImportRefused, match=f"version {version} cannot be imported"):
            imported(team, "csv", row, "ada")
    imported(team, "csv", b"head,notes,version\nL1H1,x,1000000\n", "ada")
    assert team.save("ada", HeadAnnotation(notes="y"), HeadRef(1, 1), base=1_000_000).version == 1_000_001


@pytest.mark.parametrize(
    "time",
    [
        "2026-03-03T12:00:00+00:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "1999-12-31T00:00:00+00:00",
    ],
)
def test_a_record_is_of_a_time_that_can_be(team, time):
    with pytest.raises(ImportRefused, match="which is not from 2000 to now"):
        imported(team, "csv", f"head,updated_at\nL1H1,{time}\n".encode(), "ada")


def test_what_a_sheet_says_of_when_and_against_what_is_marked(team):
    sheet = b"head,notes,updated_at,run,software\nL1H1,x,2020-01-01T00:00:00+00:00,theirs,9.9\n"
    imported(team, "csv", sheet, "ada")
    (record,) = history_of(team, HeadRef(1, 1))
    assert (record.created_at.year, record.against.run, record.against.software) == (2020, "theirs", "9.9")
    assert record.given_by_sheet
    imported(team, "csv", b"head,notes,run\nL1H1,y,mine\n", "ada")  # a change of what is here
    team.save("ada", HeadAnnotation(notes="z"), HeadRef(1, 1), base=2)
    assert [entry.given_by_sheet for entry in history_of(team, HeadRef(1, 1))] == [False, False, True]
    page = team.view(history_page, team["ada"], HeadRef(1, 1), None)
    assert [entry.record.given_by_sheet for entry in page.entries] == [False, False, True]


def test_labels_are_of_features_that_the_runs_sae_has_as_in_the_form(team):
    labels = json.dumps([{"feature": "L1F999999", "group": None, "unclear": True, "suggested": False}])
    whole = json.loads(exported(team, "json"))
    row = {"head": "L1H1", "annotator": "ada", "labels": labels}
    whole["heads"] = [row]
    with pytest.raises(ImportRefused, match="L1F999999 is not a feature"):
        imported(team, "json", json.dumps(whole).encode())
    whole["heads"] = [{**row, "run": "earlier", "against_sae": "a" * 64}]  # another SAE may have it
    assert imported(team, "json", json.dumps(whole).encode())[1] == 1


def test_a_large_import_holds_the_lock_of_writers_for_few_statements(team):
    names = [f"person {i}" for i in range(20)]
    heads = [f"L{layer}H{head}" for layer in range(3) for head in range(4)]
    data = "\n".join(
        ["head,annotator,notes", *(f"{h},{name},said by {name}" for name in names for h in heads)]
    )
    sheet = rename_columns(read_sheet(data.encode(), "csv")[0], {})
    with write_session(team.engine) as session:
        context = AtlasContext(session, team.run, team["root"])
        plan = plan_import(context, sheet, [], NOW)
        with counted(team.engine) as statements:
            assert apply_import(context, plan, NOW) == 240
    assert len(statements) < 4 * len(names) + 10  # a few for each new person, and a handful for all rows
    kept = team.view(lambda context: context.records, team["root"])
    assert (
        sum(record.content == HeadAnnotation(notes=f"said by {record.annotator}") for record in kept) == 240
    )


def test_a_sheet_names_a_limited_number_of_people(team, monkeypatch):
    monkeypatch.setattr(imports, "MAX_PEOPLE", 3)
    data = "head,annotator\n" + "".join(f"L0H0,person {i}\n" for i in range(5))
    with pytest.raises(ImportRefused, match="row 4 of heads: the sheet names more than 3 people"):
        imported(team, "csv", data.encode())


def test_a_record_that_was_saved_since_the_plan_stops_the_import(team):
    with write_session(team.engine) as session:
        context = AtlasContext(session, team.run, team["root"])
        data = b"head,annotator,notes\nL1H0,ada,a\nL1H1,ada,b\n"
        plan = plan_import(context, rename_columns(read_sheet(data, "csv")[0], {}), [], NOW)
    team.save("ada", HeadAnnotation(notes="meanwhile"), HeadRef(1, 1))
    before = exported(team, "json")
    with pytest.raises(Conflict), write_session(team.engine) as session:
        apply_import(AtlasContext(session, team.run, team["root"]), plan, NOW)
    assert exported(team, "json") == before
