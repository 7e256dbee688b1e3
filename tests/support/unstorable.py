"""Text that no column holds: what one of the engines cannot store, control characters, and too much of it."""

from app.domain.annotations.note_text import MAX_NOTE_BYTES

LONE_SURROGATE, NUL = "a\ud800", "a\x00b"
UNSTORABLE = (LONE_SURROGATE, "\udfff", NUL, "\x00", "a\x07", "a\x1b[31m", "x" * (MAX_NOTE_BYTES + 1))
