"""Notes as people and machines may type them, deterministic: whatever the form accepts, up to its limit of 64 KiB."""

import random

from app.domain.annotations.note_text import MAX_NOTE_BYTES, check_text
from tests.support.annotation_strategies import ODD_TEXTS

STARTS = (
    "",
    "",
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "'",
    "''=",
    "|",
    "%",
    "\uff1d",
    "\uff0b",
    "{=",
    "=HYPERLINK(",
)
PARTS = (
    *ODD_TEXTS,
    "attends to the previous token",
    "\u202eabc\u202c",
    "\u05e9\u05dc\u05d5\u05dd \u0639\u0631\u0628\u064a",
    "\U0001f469\u200d\U0001f4bb",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "  ",
    '"',
    '""',
    ",",
    ";",
    "<script>alert(1)</script>",
    "&lt;&amp;",
    "_x000A_",
    "_x0041_",
    "\u21aa overflow 1: x",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\U0010ffff",
    "\ue000",
    "e\u0301",
    "1,5",
    "01/02/2024",
    "=cmd|'/c calc'!A1",
    "file:///etc/passwd",
    "http://example.org/?a=1&b=2",
)


def make_note(rng: random.Random) -> str:
    """Most are short, one in fifty is long, and some of those are as long as is stored."""
    text = rng.choice(STARTS) + "".join(rng.choice(PARTS) for _ in range(rng.randint(0, 6)))
    if rng.random() < 0.3:
        text += "".join(_character(rng) for _ in range(rng.randint(1, 30)))
    if rng.random() < 0.02:
        piece = text or "x"
        text = piece * (rng.randint(1, MAX_NOTE_BYTES) // len(piece.encode()))
    return check_text(text, "the note")


def _character(rng: random.Random) -> str:
    while True:
        code = rng.choice(
            (rng.randrange(0x20, 0x250), rng.randrange(0x250, 0x3000), rng.randrange(0x20, 0x110000))
        )
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def make_notes(n: int, seed: int = 1) -> list[str]:
    rng = random.Random(seed)
    return ["", "x" * MAX_NOTE_BYTES, "=" * MAX_NOTE_BYTES, *(make_note(rng) for _ in range(n - 3))]
