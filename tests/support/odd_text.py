"""Text for tests: tokens as odd as real vocabularies have them, in sequences whose phrases return."""

import re

import numpy as np
from numpy.typing import NDArray

from app.domain.tokens import Vocabulary

LONG_TOKEN = b"=" * 66
ODD_TOKENS: tuple[bytes, ...] = (
    b"<script>alert(1)</script>",
    b"&lt;b&gt;",
    b'" onmouseover="x',
    "שלום".encode(),
    "\u202eevil".encode(),
    "\u00ad".encode(),
    b"\n",
    b"\t",
    b"\x07",
    b"\xe2\x80",
    b"\x9c",
    b"\xff",
    LONG_TOKEN,
    b"<|endoftext|>",
)
# Common enough to look like text, with the space that words of real vocabularies begin with.
WORDS = re.findall(
    r"\w+",
    """the of and to in a is that for it as was with be by on not he his but at are this have from or had an
    they which one you were all her she there would their we him been has when who will no more if out so up
    said what its about than into them can only other time new some could these two may first then do any
    like my now over such our man me even most made after also did many before must through years where""",
)


def make_vocabulary() -> Vocabulary:
    """The beginning-of-sequence token first, odd tokens next, then words with their leading space."""
    words = [f" {word}".encode() for word in WORDS] + [b".", b",", b"-", b"ing", b"X"]
    return Vocabulary.from_tokens([b"<|endoftext|>", *ODD_TOKENS, *words], [0])


def make_sequences(
    rng: np.random.Generator, n_sequences: int, context: int, n_tokens: int
) -> NDArray[np.int32]:
    """Random tokens in which phrases return, so that matched prefixes exist."""
    sequences = rng.integers(1, n_tokens, (n_sequences, context))
    for row in sequences:
        for _ in range(4):
            length = int(rng.integers(2, 7))
            first = int(rng.integers(1, context // 2 - length))
            again = int(rng.integers(context // 2, context - length))
            row[again : again + length] = row[first : first + length]
    sequences[:, 0] = 0
    return sequences.astype(np.int32)


def prefix_length(tokens: NDArray[np.int32], position: int, source: int) -> int:
    """Tokens before the source that repeat those up to the position; the two spans do not overlap."""
    n = 0
    while source - 1 - n > 0 and position - n > source - 1 and tokens[position - n] == tokens[source - 1 - n]:
        n += 1
    return n
