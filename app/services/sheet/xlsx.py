"""Reading and writing XLSX: all values are text cells, and texts too long for a cell go to the sheet `overflow`."""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from app.services.sheet.csv_json_parquet import (
    InvalidSheet,
    check_shape,
    check_size,
    read_by_library,
    table_rows,
)
from app.services.sheet.rows import NOTE_COLUMNS, NumberCell, Row, Rows

MAX_CELL = 32_767  # UTF-16 units
MAX_UNPACKED_BYTES = 200 * 2**20
_PART = 30_000
# Programs disagree on text that looks like an escape of the format, and LibreOffice makes LF of CR: such text
# goes to the overflow sheet.
_AMBIGUOUS = re.compile("_x[0-9A-Fa-f]{4}_|x005F_|\r|^\u21aa overflow ")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_POINTER = re.compile("\u21aa overflow ([0-9]{1,6}): .*", re.DOTALL)
# One date in every file: the same annotations give the same bytes.
_CREATED = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """A sheet for people to read, which is never imported."""

    name: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


class _Overflow:
    """Collects the texts that a cell cannot hold, as parts of ASCII JSON strings."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self._count = 0

    def cell(self, text: str) -> str:
        """The text itself if a cell can hold it, else its beginning and a reference to the overflow sheet."""
        units = len(text.encode("utf-16-le")) // 2
        if units <= MAX_CELL and not _AMBIGUOUS.search(text):
            return text
        self._count += 1
        whole = json.dumps(text).replace("_", "\\u005f")
        parts = [whole[start : start + _PART] for start in range(0, len(whole), _PART)]
        self.rows += [(str(self._count), str(i), part) for i, part in enumerate(parts, 1)]
        beginning = re.sub("[\x00-\x1f_\ufffe\uffff]", " ", text[:200])
        return f"\u21aa overflow {self._count}: {beginning}"


def new_workbook(sink: IO[bytes], title: str = "") -> Any:
    """A workbook of xlsxwriter, closed by `with`: texts stay as they are, and the same cells give the same bytes."""
    import xlsxwriter  # pyright: ignore[reportMissingTypeStubs]

    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    workbook: Any = xlsxwriter.Workbook
    book = workbook(sink, options)
    book.set_properties({"created": _CREATED, **({"title": title} if title else {})})
    return book


def write_xlsx(rows: Rows, extra: Sequence[Table]) -> bytes:
    """An XLSX file with the sheets heads, feature_notes, `extra` and overflow.

    Raises InvalidSheet if a cell cannot be written.
    """
    sink = io.BytesIO()
    overflow = _Overflow()
    with new_workbook(sink) as book:
        heads = [[row[name] for name in rows.columns] for row in rows.heads]
        notes = [[row[name] for name in NOTE_COLUMNS] for row in rows.notes]
        for table in (
            Table("heads", rows.columns, heads),
            *extra,
            Table("feature_notes", NOTE_COLUMNS, notes),
        ):
            _write_table(book, table, overflow)
        _write_table(book, Table("overflow", ("text", "part", "json"), overflow.rows), None)
    return sink.getvalue()


def _write_table(book: Any, table: Table, overflow: _Overflow | None) -> None:
    sheet = book.add_worksheet(table.name)
    bold = book.add_format({"bold": True})
    sheet.freeze_panes(1, 1)
    for column, name in enumerate(table.header):
        check_written(sheet.write_string(0, column, name, bold))
    for number, row in enumerate(table.rows, 1):
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                text = overflow.cell(cell) if overflow else cell
                check_written(sheet.write_string(number, column, text))
            elif cell is not None:
                check_written(sheet.write_number(number, column, cell))


def check_written(code: int) -> None:
    if code:
        raise InvalidSheet(f"a cell could not be written to the XLSX file (code {code})")


def read_xlsx(data: bytes) -> tuple[list[tuple[int, Row]], list[tuple[int, Row]]]:
    """Rows of heads and rows of feature notes, each with its number in the sheet. Raises InvalidSheet.

    Without a sheet named `heads`, the first sheet is read, so that sheets made by hand need no name.
    """
    import openpyxl

    check_size(data)
    with read_by_library("a sound XLSX workbook"):
        _check_archive(data)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, keep_links=False)
        names = book.sheetnames
        overflow = _read_overflow(_cells(book["overflow"])) if "overflow" in names else {}
        first = _cells(book["heads" if "heads" in names else names[0]])
        notes = _cells(book["feature_notes"]) if "feature_notes" in names else []
        book.close()
    return (
        table_rows(_whole(first, overflow)),
        table_rows(_whole(notes, overflow)) if notes else [],
    )


def _check_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile as error:
        raise InvalidSheet("the file is not XLSX: it is not a ZIP archive") from error
    if unpacked > MAX_UNPACKED_BYTES:
        raise InvalidSheet(f"the file unpacks to {unpacked} bytes; at most {MAX_UNPACKED_BYTES} are read")


def _cells(sheet: Any) -> list[list[str]]:
    rows: list[list[str]] = []
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_text(cell, number) for cell in row]
        while cells and not cells[-1]:  # a format of whole rows reaches to the last column
            cells.pop()
        check_shape(number, len(cells))
        if rows:  # an empty cell below a name of a column is one that was emptied
            cells += [""] * (len(rows[0]) - len(cells))
        rows.append(cells)
    return rows


def _text(cell: Any, number: int) -> str:
    value = cell.value
    if cell.data_type == "f":
        raise InvalidSheet(f"row {number} holds a formula; replace it by its value")
    if cell.data_type == "e":
        raise InvalidSheet(
            f"row {number} holds the error {str(value)[:20]}; replace it by what should be there"
        )
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return NumberCell(int(value) if value.is_integer() else value)
    if not isinstance(value, str):
        return NumberCell(value)
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)


def _read_overflow(rows: Iterable[Sequence[str]]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for number, _part, text in (row[:3] for row in list(rows)[1:] if len(row) >= 3):
        parts[number] = parts.get(number, "") + text
    texts: dict[str, str] = {}
    for number, whole in parts.items():
        try:
            text: Any = json.loads(whole)
        except ValueError as error:
            raise InvalidSheet(f"text {number[:20]} of the sheet overflow is damaged") from error
        if not isinstance(text, str):
            raise InvalidSheet(f"text {number[:20]} of the sheet overflow is no text")
        texts[number] = text
    return texts


def _whole(rows: list[list[str]], overflow: dict[str, str]) -> list[list[str]]:
    def restored(cell: str, number: int) -> str:
        pointer = _POINTER.fullmatch(cell)
        if pointer is None:
            return cell
        if pointer[1] not in overflow:
            raise InvalidSheet(f"row {number} points to text {pointer[1]}, which the sheet overflow lacks")
        return overflow[pointer[1]]

    return [[restored(cell, number) for cell in row] for number, row in enumerate(rows, 1)]
