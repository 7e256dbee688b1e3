"""Files that are not what they say, too large, of another version, or hold what cannot be stored."""

import io
import json
import re
import zipfile

import openpyxl
import pytest

from app.domain.annotations.note_text import InvalidText
from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.errors import AppError
from app.services.sheet import xlsx as spreadsheet_xlsx
from app.services.sheet.csv_json_parquet import InvalidSheet
from app.services.sheet.files import read_sheet
from app.services.sheet.imports import ImportRefused
from app.services.sheet.rows import InvalidCell
from app.services.sheet.xlsx import read_xlsx
from tests.support.sheets import export_sheet, import_sheet, workbook


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
        import_sheet(team, "csv", b"head,notes\nL0H0," + b"x" * 200_000 + b"\n")


@pytest.mark.parametrize("code", [0, 1, 8, 11, 12, 14, 27, 31])
def test_g06_control_characters_are_refused_wherever_they_come_from(team, code):
    with pytest.raises(InvalidText, match=f"U\\+{code:04X} at position 1"):
        team.save("ada", HeadAnnotation(notes=f"a{chr(code)}"), HeadRef(1, 0))
    whole = json.loads(export_sheet(team, "json"))
    whole["heads"][0]["notes"] = chr(code)
    with pytest.raises(ImportRefused, match=f"row 1 of heads: the notes has the character U\\+{code:04X}"):
        import_sheet(team, "json", json.dumps(whole).encode())


def test_g12_a_sheet_of_another_version_of_the_format_is_refused_with_both_versions():
    data = json.dumps({"format": "head-atlas annotations", "version": 0, "heads": []}).encode()
    with pytest.raises(InvalidSheet, match="format version 0; this version reads 1"):
        read_sheet(data, "json")


@pytest.mark.parametrize("version", ["true", '"1"', "[1]", "null", "1.5"])
def test_g12_a_version_of_another_type_is_no_version(version):
    text = '{"format": "head-atlas annotations", "version": %s, "heads": []}'
    with pytest.raises(InvalidSheet, match=re.escape(f"format version {version}; this version reads 1")):
        read_sheet((text % version).encode(), "json")
    assert read_sheet((text % 1).encode(), "json") == ([], [])


@pytest.mark.parametrize("whole", ["true", "5", "[1]", "null"])
def test_a_long_text_of_a_workbook_is_text(whole):
    book = openpyxl.load_workbook(io.BytesIO(workbook(["head", "notes"], ["L0H0", "\u21aa overflow 1: x"])))
    long_texts = book.create_sheet("overflow")
    for row in (["text", "part", "json"], ["1", "1", whole]):
        long_texts.append(row)
    sink = io.BytesIO()
    book.save(sink)
    with pytest.raises(InvalidSheet, match="text 1 of the sheet overflow is no text"):
        read_sheet(sink.getvalue(), "xlsx")


def test_g12_two_columns_that_would_be_read_as_one_are_refused(team):
    with pytest.raises(InvalidCell, match="row 2 has two columns that are read as 'notes'"):
        import_sheet(team, "csv", b"head,notes,description\nL1H0,a,b\n")
    import_sheet(team, "csv", b"head,notes,description\nL1H0,a,b\n", mapping={"description": ""})
