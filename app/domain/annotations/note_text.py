"""What people type: stored exactly as sent, or refused with the position of what cannot be stored."""

import re

from app.errors import AppError

MAX_NOTE_BYTES = 64 * 1024
MAX_NAME_BYTES = 400
# Surrogates have no UTF-8, NUL ends a text on Postgres, and control characters have no place in a file.
_REFUSED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
# Of a text on one line: what ends it, and what a terminal that prints it would obey.
_NO_LINE = re.compile(r"[\t\n\r\x7f-\x9f]")


class InvalidText(AppError):
    """A character that cannot be stored, or no text where one is needed."""

    status_code = 422


class TextTooLong(AppError):
    """More text than the field holds."""

    status_code = 413


def check_text(text: str, name: str, limit: int = MAX_NOTE_BYTES) -> str:
    """Return the text as it is if it can be stored; limits are bytes of UTF-8. Raises InvalidText or TextTooLong."""
    if match := _REFUSED.search(text):
        code = f"U+{ord(match[0]):04X}"
        raise InvalidText(
            f"{name} has the character {code} at position {match.start()}, which cannot be stored"
        )
    size = len(text.encode())
    if size > limit:
        raise TextTooLong(f"{name} has {size} bytes; at most {limit} are stored")
    return text


def check_name(text: str, name: str) -> str:
    """Return the text if it is short, on one line and not only spaces. Raises InvalidText or TextTooLong."""
    if not check_line(text, name).strip():
        raise InvalidText(f"{name} is empty")
    return text


def check_line(text: str, name: str) -> str:
    """Return the text if it is short and on one line, or empty. Raises InvalidText or TextTooLong."""
    check_text(text, name, MAX_NAME_BYTES)
    if match := _NO_LINE.search(text):
        what = (
            "a tab or line break" if match[0] in "\t\n\r" else f"the control character U+{ord(match[0]):04X}"
        )
        raise InvalidText(f"{name} has {what} at position {match.start()}; it is one line")
    return text
