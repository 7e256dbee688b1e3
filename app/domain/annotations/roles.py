"""The vocabulary of annotation: roles of heads with code, key and family, and levels of abstraction."""

from dataclasses import dataclass
from typing import Literal, get_args

from app.domain.annotations.names import normalised
from app.errors import AppError

Family = Literal["IN", "MT", "LX", "CX", "GR", "CO", "unclear"]
# In the order that charts stack them.
FAMILIES: tuple[Family, ...] = get_args(Family)
FAMILY_NAMES: dict[Family, str] = {
    "IN": "Induction and copying",
    "MT": "Token matching",
    "LX": "Lexical",
    "CX": "Context",
    "GR": "Grammar",
    "CO": "Concept",
    "unclear": "Unclear",
}
Abstraction = Literal["token", "syntax", "concept", "context"]
ABSTRACTIONS: tuple[Abstraction, ...] = get_args(Abstraction)
# What a layer's mean is taken over: single tokens are the least abstract.
ABSTRACTION_LEVELS: dict[Abstraction, int] = {level: i for i, level in enumerate(ABSTRACTIONS, 1)}


class UnknownRole(AppError):
    """The text names no role of the vocabulary."""

    status_code = 422


@dataclass(frozen=True)
class Role:
    """One role. `key` follows r on the keyboard; `aliases` are other names, former ones among them."""

    name: str
    code: str
    key: str
    family: Family
    meaning: str
    aliases: tuple[str, ...] = ()


# To add a role, add a row. To rename one, keep its old name as an alias: stored records then follow.
ROLES: tuple[Role, ...] = (
    Role("induction", "IN", "i", "IN", "attends to the token after an earlier copy of the current one"),
    Role("long-prefix induction", "LP", "l", "IN", "induction that needs two or more matching tokens"),
    Role("previous token", "PT", "p", "MT", "attends one position back", ("prev token",)),
    Role("duplicate token", "DT", "d", "MT", "attends to an earlier copy of the current token"),
    Role("copy suppression", "CS", "s", "IN", "lowers a token that is predicted and already in the context"),
    Role("successor", "SU", "u", "LX", "from an item to the next in its order: Monday to Tuesday", ("succession",)),
    Role("local context", "CX", "x", "CX", "what the nearby text is about"),
    Role("long-range context", "LR", "f", "CX", "what the whole text is about"),
    Role("single token", "ST", "t", "LX", "one token, wherever it stands"),
    Role("bigram", "BI", "b", "LX", "completes a fixed pair of tokens", ("bi-gram",)),
    Role("preposition copying", "PR", "r", "IN", "repeats a preposition of the context"),
    Role("name copying", "NM", "n", "IN", "repeats a name of the context"),
    Role("copying", "CP", "c", "IN", "repeats tokens of the context"),
    Role("letter copying", "LT", "e", "IN", "repeats a single letter of the context", ("capital letter completion",)),
    Role("grammar", "GR", "g", "GR", "phrase structure: what a predicate, quantifier or joiner asks for"),
    Role("active verb", "AV", "a", "GR", "who is about to do what", ("active verbs",)),
    Role("entity", "EN", "k", "CO", "a kind of person, body or thing and what it did", ("entity concept",)),
    Role("concept", "CO", "o", "CO", "an abstract idea, however it is worded"),
    Role("reasoning", "RE", "w", "CO", "justification and inference", ("reasoning and justification",)),
    Role("quantity or comparison", "QC", "q", "CO", "sizes, amounts, times and how they compare"),
    Role("position or format", "PF", "z", "LX", "separators, links, titles and other fixed formats"),
)  # fmt: skip


_BY_NAME = {normalised(name): role for role in ROLES for name in (role.name, *role.aliases)}
_BY_CODE = {role.code: role for role in ROLES}


def find_role(text: str) -> Role:
    """A role by its name, an alias or its code in capitals. Raises UnknownRole."""
    role = _BY_CODE.get(text.strip()) or _BY_NAME.get(normalised(text))
    if role is None:
        raise UnknownRole(f"{text[:60]!r} is not a role; roles are {', '.join(r.name for r in ROLES)}")
    return role


def current_name(text: str) -> str:
    """The name that a stored role has today; one that has left the vocabulary stays as it was."""
    try:
        return find_role(text).name
    except UnknownRole:
        return text


# Words of a group's name that say which family it belongs to, where the annotator has not.
_FAMILY_WORDS: tuple[tuple[Family, tuple[str, ...]], ...] = (
    ("unclear", ("unclear", "unknown", "uninterpretable")),
    ("IN", ("induction", "copy", "copies", "suppression")),
    ("MT", ("previous token", "duplicate", "same token", "positional")),
    ("LX", ("token", "bigram", "bi gram", "trigram", "suffix", "prefix", "letter", "url", "succession")),
    ("GR", ("verb", "grammar", "grammatical", "phrase", "preposition", "tense", "subject", "joiner")),
    ("CX", ("context", "topic", "tracking", "article")),
)


def suggested_family(group: str) -> Family:
    """The family that a new group starts with: that of the role of its name, or of the first word that tells one."""
    name = normalised(group)
    if role := _BY_NAME.get(name):
        return role.family
    for family, words in _FAMILY_WORDS:
        if any(word in name for word in words):
            return family
    return "CO"
