"""Escaping of CSV cells that a spreadsheet program could read as a formula."""

import re
from collections.abc import Iterable

# A cell that a spreadsheet program would take for a formula gets one apostrophe, and so does one that looks as if
# it had got one: taking one away again gives back what it was.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20|%]")
# Programs cut lines at these, the comma apart, unless the cell is in quotes; what follows would be a cell of its own.
_CUT = re.compile('[,;\t"\r\n]')


def escape_cell(text: str) -> str:
    """The text as a CSV cell that no spreadsheet program reads as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """The text that `escape_cell` turned into this cell."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV after RFC 4180, None as an empty cell.

    A text is escaped, and in quotes if a program might cut it, also at a semicolon or tab.
    """
    return "".join(",".join(map(_csv_cell, row)) + "\r\n" for row in rows)


def _csv_cell(cell: object) -> str:
    text = "" if cell is None else escape_cell(cell) if isinstance(cell, str) else str(cell)
    return '"' + text.replace('"', '""') + '"' if _CUT.search(text) else text
