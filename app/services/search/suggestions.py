"""Completions of a query's last term while it is typed; only visible people and groups are suggested."""

from collections.abc import Callable, Iterable, Sequence

from app.domain.annotations.head_types import HEAD_TYPES
from app.domain.annotations.roles import ROLES
from app.domain.evidence import KINDS
from app.services.reading.context import AtlasContext
from app.services.reading.scores import score_names
from app.services.search.labels import visible_labels
from app.services.search.models import SearchSuggestions, Suggestion
from app.services.search.query import ATTENDS, SEARCHED_STATUSES
from app.store.search import words_like

N_SUGGESTED = 8
FIELD_HELP = {
    "promotes": "features that raise a token",
    "suppresses": "features that lower a token",
    "text": "features that fire near a word",
    "evidence": "features by what their head reads",
    "score": "heads by a score",
    "attends": "heads that attend to a token",
    "attends_from": "heads that attend from a token",
    "layer": "only some layers",
    "role": "heads by role",
    "type": "heads by head type",
    "group": "heads by a group of their features",
    "status": "heads by how far their annotation is",
    "by": "heads that someone has a record of",
}
_HALF = ">=0.5"


def quoted_if_needed(text: str) -> str:
    """A value in the query language, quoted unless it has only letters, digits, `_` and `-`."""
    if text and all(character.isalnum() or character in "_-" for character in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def search_suggestions(context: AtlasContext, text: str) -> SearchSuggestions:
    """Suggestions of whole queries: the typed text with its last term completed."""
    before, last = split_last(text)
    name, colon, value = last.partition(":")
    if not last:
        completions: Iterable[Suggestion] = ()
    elif colon and name.lower() in FIELD_HELP:
        completions = _values(context, name.lower(), value.strip('"'))
    else:
        completions = (*_fields(last), *_words(context, last))
    listed = tuple(Suggestion(before + each.query, each.help) for each in completions)[:N_SUGGESTED]
    return SearchSuggestions(context.run.slug, text, listed)


def split_last(text: str) -> tuple[str, str]:
    """The text before the last term, and the last term; spaces within quotation marks are part of a term."""
    start, quoted = 0, False
    for at, character in enumerate(text):
        if character == '"' and text[at - 1 : at] != "\\":
            quoted = not quoted
        elif character.isspace() and not quoted:
            start = at + 1
    return text[:start], text[start:]


def _fields(typed: str) -> list[Suggestion]:
    return [
        Suggestion(f"{name}:", help_text)
        for name, help_text in FIELD_HELP.items()
        if name.startswith(typed.lower())
    ]


def _words(context: AtlasContext, typed: str) -> list[Suggestion]:
    plain = typed.lower()
    if len(plain) < 2 or not plain.isalnum():
        return []
    near = words_like(context.session, context.run, plain, N_SUGGESTED)
    return [Suggestion(word, "a word near which features fire") for word in near]


def _values(context: AtlasContext, name: str, typed: str) -> list[Suggestion]:
    if name in ("promotes", "suppresses", *ATTENDS):
        return _tokens(context, name, typed)
    if name == "text":
        return [Suggestion(f"text:{each.query}", each.help) for each in _words(context, typed)]
    candidates: Sequence[tuple[str, str]] = _CANDIDATES[name](context)
    needle = typed.lower().replace("_", " ").replace("-", " ")
    fitting = [
        Suggestion(f"{name}:{value}", help_text)
        for value, help_text in candidates
        if needle in value.lower().replace("_", " ").replace("-", " ").strip('"')
    ]
    # Those that begin so come first.
    return sorted(
        fitting, key=lambda each: not each.query.partition(":")[2].strip('"').lower().startswith(needle)
    )


def _tokens(context: AtlasContext, name: str, typed: str) -> list[Suggestion]:
    index = context.token_index
    near = index.beginning_with(typed, N_SUGGESTED) if typed.strip() else ()
    return [
        Suggestion(
            f"{name}:{quoted_if_needed(text)}", "a token, in any spelling" if text.isalnum() else "this token"
        )
        for text in near
        if text.isprintable()
    ]


def _scores(context: AtlasContext) -> list[tuple[str, str]]:
    return [(f"{name}>0.3", "heads by this score") for name in score_names(context.heads)]


def _layers(context: AtlasContext) -> list[tuple[str, str]]:
    return [(str(sae.layer), "a layer with an SAE") for sae in context.run.record.saes]


def _people(context: AtlasContext) -> list[tuple[str, str]]:
    names = {record.annotator for records in visible_labels(context).values() for record in records}
    return [(quoted_if_needed(name), "someone with a record") for name in sorted(names)]


def _groups(context: AtlasContext) -> list[tuple[str, str]]:
    records = [record for of_head in visible_labels(context).values() for record in of_head]
    names = sorted({group for record in records for group in record.groups})
    return [(quoted_if_needed(name), "a group of features") for name in names]


_CANDIDATES: dict[str, Callable[[AtlasContext], list[tuple[str, str]]]] = {
    "evidence": lambda _context: [(kind + _HALF, "in half of the examples") for kind in KINDS],
    "role": lambda _context: [(quoted_if_needed(role.name), role.meaning) for role in ROLES],
    "type": lambda _context: [(name, "a head type") for name in HEAD_TYPES],
    "status": lambda _context: [(name, "of a record") for name in SEARCHED_STATUSES],
    "score": _scores,
    "layer": _layers,
    "by": _people,
    "group": _groups,
}
