"""When two names are the same: one rule, which the server follows and pages get as data."""

from dataclasses import dataclass
from functools import cache

_HYPHEN = "-"
# The last white space and the last letter with case lie before these.
_END_OF_SPACES, _END_OF_FOLDS = 0x3001, 0x1E944


def normalised(name: str) -> str:
    """The form under which two names are the same: letter case, hyphens and runs of spaces do not count."""
    return " ".join(name.casefold().replace(_HYPHEN, " ").split())


@dataclass(frozen=True)
class NameRule:
    """The rule of `normalised` as data, for scripts.

    `separators`: characters that part words. `folds`: what a character becomes, where that is not
    the small letters of its capitals (those of ß are SS).
    """

    separators: str
    folds: dict[str, str]


@cache
def name_rule() -> NameRule:
    """The rule by which scripts find two names the same exactly where `normalised` does.

    Small letters that case folding writes as capitals (Cherokee) stay small: which names are the same is no other.
    """
    spaces = "".join(chr(code) for code in range(_END_OF_SPACES) if chr(code).isspace())
    folded = {char: char.casefold().lower() for char in map(chr, range(_END_OF_FOLDS))}
    folds = {char: small for char, small in folded.items() if small != char.lower().upper().lower()}
    return NameRule(_HYPHEN + spaces, folds)
