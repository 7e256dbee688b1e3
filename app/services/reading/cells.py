"""Escaping of CSV cells that a spreadsheet program could read as a formula."""

import re

# A cell that a spreadsheet program would take for a formula gets one apostrophe, and so does one that looks as if
# it had got one: taking one away again gives back what it was.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20|%]")


def escape_cell(text: str) -> str:
    """The text as a CSV cell that no spreadsheet program reads as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """The text that `escape_cell` turned into this cell."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
