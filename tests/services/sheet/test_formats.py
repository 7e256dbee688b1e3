"""Cells and files of every format: identical text, no formulas, no links."""

import csv
import io
import re
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.annotations.note_text import MAX_NOTE_BYTES
from app.domain.annotations.records import Against, HeadAnnotation, Revision, Subject
from app.domain.refs import HeadRef
from app.services.reading.cells import csv_text, escape_cell, unescape_cell
from app.services.sheet import xlsx as spreadsheet_xlsx
from app.services.sheet.csv_json_parquet import InvalidSheet, read_csv, write_csv
from app.services.sheet.rows import HEAD_COLUMNS, read_content, rows_of
from app.services.sheet.xlsx import read_xlsx, write_xlsx
from tests.support.annotated_atlas import NOW
from tests.support.annotation_strategies import ODD_TEXTS, notes
from tests.support.annotation_strategies import annotations as any_annotation
from tests.support.sheets import FEATURE, LONG

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


@pytest.mark.parametrize("text", ["x;=1+1", "x\t=1+1", ';"=1+1"', "a,b;c\td"])
def test_g01_no_separator_of_other_programs_stands_outside_quotes(text):
    table = csv_text([["n", None, 0.5, "a b"], [text, "=1;=2"]])
    assert table.splitlines()[0] == "n,,0.5,a b"
    rest = re.sub('"([^"]|"")*"', "", table)
    assert not re.search("[;\t=]", rest)
    assert list(csv.reader(io.StringIO(table, newline="")))[1] == [text, "'=1;=2"]


@pytest.mark.parametrize(
    "text", ["a\tb", "a\nb", "a\r\nb", "_x0001_", "_x000D_", "\x7f", "\x85", "\ufffe", "\uffff"]
)
def test_g06_what_is_accepted_comes_back_from_a_workbook_as_it_was(text):
    rows = rows_of([revision(HeadAnnotation(notes=text))])
    assert read_xlsx(write_xlsx(rows, []))[0][0][1]["notes"] == text
