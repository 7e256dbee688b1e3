"""CSV as other programs save it is read, or refused with what it is and what to do."""

import re

import pytest

from app.services.sheet.csv_json_parquet import read_csv
from app.services.sheet.imports import rename_columns
from app.services.sheet.rows import InvalidSheet

ROWS = [("head", "Notes"), ("L0H1", "dogs; and, cats"), ("L0H2", "naïve → café")]
READ = [(2, {"head": "L0H1", "notes": "dogs; and, cats"}), (3, {"head": "L0H2", "notes": "naïve → café"})]


def written(between: str, end: str = "\r\n") -> str:
    return "".join(between.join(f'"{cell}"' for cell in row) + end for row in ROWS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep={}\r\n", "SEP={}\n"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_what_is_between_cells_is_found(encoding: str, first: str, between: str, end: str) -> None:
    data = (first.format(between) + written(between, end)).encode(encoding)
    assert rename_columns(read_csv(data), {}) == READ


def test_big_endian_text_is_read() -> None:
    assert rename_columns(read_csv(b"\xfe\xff" + written(";").encode("utf-16-be")), {}) == READ


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            "head,notes\nL0H1,café\n".encode("cp1252"),
            "not UTF-8: line 2 has the byte 0xe9.*save it as 'CSV UTF-8'",
        ),
        (
            written(",").encode("utf-16-le"),
            "NUL bytes, as UTF-16 without a byte order mark; save it as 'CSV UTF-8'",
        ),
        (b"\xff\xfeh", "begins as UTF-16 does, but is not UTF-16: save it as 'CSV UTF-8'"),
        (b"PK\x03\x04rest", "packed as a workbook is.*rename it to end in xlsx"),
        (b"sep=|\nhead|notes\n", "'|' separates cells; only a comma, semicolon or tab can"),
    ],
)
def test_what_is_not_read_is_refused_with_the_remedy(data: bytes, message: str) -> None:
    with pytest.raises(InvalidSheet, match=message.replace("|", re.escape("|"))):
        read_csv(data)


def test_a_list_in_a_cell_does_not_decide() -> None:
    rows = read_csv(b"head,roles,notes\nL0H1,induction; previous token; copying,a;b;c\n")
    assert rows == [(2, {"head": "L0H1", "roles": "induction; previous token; copying", "notes": "a;b;c"})]
