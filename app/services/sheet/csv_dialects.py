"""Reading CSV as other programs write it: its encoding and its delimiter."""

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE

from app.services.sheet.rows import HEAD_COLUMNS, InvalidSheet

DELIMITERS = (",", ";", "\t")
_SEP = "sep="  # a first line of Excel's, that names what is between cells
_UTF16 = ((BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be"))
_ZIP = b"PK\x03\x04"
_REMEDY = "save it as 'CSV UTF-8', or as xlsx"


def decoded_csv(data: bytes) -> tuple[str, str]:
    """A file's text from its header on, and its delimiter. Raises InvalidSheet."""
    text = _decoded(data)
    first = re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
    if first.strip().lower().startswith(_SEP):
        delimiter = first[len(_SEP) :][:1]
        if delimiter not in DELIMITERS:
            raise InvalidSheet(
                f"the first line says that {delimiter!r} separates cells; only a comma, semicolon or tab can"
            )
        return text[len(first) :].lstrip("\r\n"), delimiter
    return text, max(DELIMITERS, key=lambda delimiter: _n_known(first, delimiter))


def _decoded(data: bytes) -> str:
    if data.startswith(_ZIP):
        raise InvalidSheet(
            "the file is packed as a workbook is, and its name ends in csv; rename it to end in xlsx"
        )
    for mark, encoding in _UTF16:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError as error:
                raise InvalidSheet(f"the file begins as UTF-16 does, but is not UTF-16: {_REMEDY}") from error
    start = data[:1000]
    if start.count(0) > len(start) / 4:
        raise InvalidSheet(f"the file has NUL bytes, as UTF-16 without a byte order mark; {_REMEDY}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InvalidSheet(
            f"the file is not UTF-8: line {row} has the byte {data[error.start]:#04x}, as in a code page of Windows, "
            f"which does not say which letter that is; {_REMEDY}"
        ) from error


def _n_known(header: str, delimiter: str) -> int:
    """The number of the header's cells that name a column of the sheet."""
    try:
        rows = list(csv.reader([header], delimiter=delimiter))
    except csv.Error:
        return 0
    return sum(cell.strip().casefold() in HEAD_COLUMNS for row in rows for cell in row)
