"""Files that say two things at once, or hold an error in place of a value: refused, not read one way or the other."""

import io
import json

import openpyxl
import pytest
import xlsxwriter

from app.services.sheet.csv_json_parquet import FORMAT, InvalidSheet, read_json
from app.services.sheet.xlsx import read_xlsx

HEAD = f'"format": {json.dumps(FORMAT)}, "version": 1'


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{%s, "heads": [{"head": "L0H1", "notes": "a", "notes": "b"}]}', "notes"),
        ('{%s, "heads": [{"head": "L0H1"}], "heads": [{"head": "L0H2"}]}', "heads"),
        ('{%s, "version": 2, "heads": []}', "version"),
        ('{%s, "heads": [], "more": [[{"x": {"y": 1, "y": 1}}]]}', "y"),
    ],
)
def test_g12_a_name_that_a_json_file_gives_twice_is_refused(text: str, name: str) -> None:
    with pytest.raises(InvalidSheet, match=f"an object has {name!r} twice"):
        read_json((text % HEAD).encode())
    heads, notes = read_json(('{%s, "heads": [{"head": "L0H1", "notes": "a"}]}' % HEAD).encode())  # noqa: UP031
    assert (heads, notes) == ([(1, {"head": "L0H1", "notes": "a"})], [])


@pytest.mark.parametrize("error", ["#REF!", "#N/A", "#DIV/0!", "#NAME?"])
def test_g11_a_cell_with_an_error_is_refused_by_its_row(error: str) -> None:
    book = openpyxl.Workbook()
    for row in (["head", "notes"], ["L0H1", "fine"], ["L0H2", error]):
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    with pytest.raises(InvalidSheet, match=f"row 3 holds the error {error[:4]}"):
        read_xlsx(sink.getvalue())
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as book:  # the same letters as a text are a text
        sheet = book.add_worksheet()
        for number, row in enumerate((["head", "notes"], ["L0H2", error])):
            for column, cell in enumerate(row):
                sheet.write_string(number, column, cell)
    assert read_xlsx(sink.getvalue())[0] == [(2, {"head": "L0H2", "notes": error})]
