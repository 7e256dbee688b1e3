"""Escaping of spreadsheet cells that a program could take for a formula."""

import re

# A cell that a spreadsheet program would take for a formula gets one apostrophe, and so does one that looks as if
# it had got one: taking one away again gives back what it was.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20|%]")


def escape_cell(text: str) -> str:
    """The text as a CSV cell that is never a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescape_cell(text: str) -> str:
    """What `escape_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
