"""The query language of search: parses a query into terms, or says in one sentence what is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from app.domain.annotations.head_types import HEAD_TYPES, HeadType
from app.domain.annotations.names import normalised
from app.domain.annotations.records import STATUSES
from app.domain.annotations.roles import ROLES, UnknownRole, find_role
from app.domain.evidence import KINDS
from app.domain.refs import FeatureRef, HeadRef, InvalidReference
from app.services.reading.layer_ranges import InvalidQuery, parse_layers
from app.store.search_index import words_of

LABELS = ("role", "type", "group", "status", "by")
ATTENDS = ("attends", "attends_from")
FIELDS = ("promotes", "suppresses", "text", "evidence", "score", *ATTENDS, "layer", *LABELS)
OPEN = "open"  # the status of a head that nobody has a record of, as far as the viewer may know
SEARCHED_STATUSES = (*STATUSES, OPEN)
_TYPES: dict[str, HeadType] = {
    "mono": "monosemantic",
    "minor": "minor_exceptions",
    "bi": "bisemantic",
    "poly": "polysemantic",
    **{name: name for name in HEAD_TYPES},
}
MAX_TERMS = 8
HALF = 0.5  # evidence without a number: at least half of the examples
_TERM = re.compile(r'(?:(?P<field>[A-Za-z_]+):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]+))(?=\s|$)')
_COMPARISON = re.compile(r"(?P<name>[A-Za-z_-]+)(?:(?P<sign>>=|<=|>|<|=)(?P<number>-?\d*\.?\d+))?")
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}
_OTHER_NAMES = {
    "previous": "previous_token",
    "same": "same_token",
    "duplicate_token": "same_token",
    "copies": "copying",
}


@dataclass(frozen=True)
class TokenTerm:
    text: str
    exactly: bool  # quoted: with its spaces and letter case
    sign: int


@dataclass(frozen=True)
class AttendedToken:
    """A condition on a head: it attends to the token, or from it, beyond the token's share of the corpus."""

    text: str
    exactly: bool  # quoted: with its spaces and letter case
    is_source: bool


@dataclass(frozen=True)
class ScoreComparison:
    name: str
    sign: str
    number: float

    def holds(self, value: float) -> bool:
        match self.sign:
            case ">":
                return value > self.number
            case ">=":
                return value >= self.number
            case "<":
                return value < self.number
            case "<=":
                return value <= self.number
            case _:
                return value == self.number


@dataclass(frozen=True)
class LabelTerm:
    """A condition on one record of a head: its role, type, group (part of the name), status or annotator."""

    field: str
    value: str


@dataclass(frozen=True)
class SearchQuery:
    """The terms of a query, all of which must match."""

    tokens: tuple[TokenTerm, ...] = ()
    words: tuple[str, ...] = ()
    evidence: tuple[ScoreComparison, ...] = ()
    scores: tuple[ScoreComparison, ...] = ()
    layers: frozenset[int] | None = None
    heads: tuple[HeadRef, ...] = ()
    features: tuple[FeatureRef, ...] = ()
    labels: tuple[LabelTerm, ...] = ()
    attended: tuple[AttendedToken, ...] = ()

    @property
    def asks_for_heads(self) -> bool:
        """Whether a term selects heads, rather than restricting where to search."""
        return bool(self.heads or self.scores or self.labels or self.attended)

    @property
    def asks_for_features(self) -> bool:
        return bool(self.tokens or self.words or self.evidence)

    @property
    def is_empty(self) -> bool:
        return self == SearchQuery()


@dataclass
class _Terms:
    tokens: list[TokenTerm] = field(default_factory=list[TokenTerm])
    words: list[str] = field(default_factory=list[str])
    evidence: list[ScoreComparison] = field(default_factory=list[ScoreComparison])
    scores: list[ScoreComparison] = field(default_factory=list[ScoreComparison])
    layers: frozenset[int] | None = None
    heads: list[HeadRef] = field(default_factory=list[HeadRef])
    features: list[FeatureRef] = field(default_factory=list[FeatureRef])
    labels: list[LabelTerm] = field(default_factory=list[LabelTerm])
    attended: list[AttendedToken] = field(default_factory=list[AttendedToken])


def parse_query(text: str, score_names: Sequence[str]) -> SearchQuery:
    """The terms of the query. Raises InvalidQuery with a sentence for the person who typed it."""
    terms = _Terms()
    at, n_terms = 0, 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidQuery(_why_unreadable(text[at:]))
        n_terms += 1
        if n_terms > MAX_TERMS:
            raise InvalidQuery(f"A search takes at most {MAX_TERMS} terms.")
        _add(terms, match, score_names)
        at = match.end()
    query = SearchQuery(
        tokens=tuple(terms.tokens),
        words=tuple(dict.fromkeys(terms.words)),
        evidence=tuple(terms.evidence),
        scores=tuple(terms.scores),
        layers=terms.layers,
        heads=tuple(dict.fromkeys(terms.heads)),
        features=tuple(dict.fromkeys(terms.features)),
        labels=tuple(dict.fromkeys(terms.labels)),
        attended=tuple(dict.fromkeys(terms.attended)),
    )
    if query.features and (query.asks_for_features or query.asks_for_heads or query.layers is not None):
        raise InvalidQuery(f"{query.features[0]} is a single feature: remove the other terms.")
    return query


def _why_unreadable(rest: str) -> str:
    if rest.count('"') - rest.count(r"\"") == 1:
        return 'A quotation mark is not closed, as in promotes:" of".'
    return f"This part cannot be read: {rest[:30]}. Quote a text that holds quotation marks or spaces."


def _add(terms: _Terms, match: re.Match[str], score_names: Sequence[str]) -> None:
    name = (match["field"] or "").lower()
    quoted = match["quoted"] is not None
    value = _unescaped(match["quoted"]) if quoted else match["bare"]
    if name in ("promotes", "suppresses"):
        if not value:
            raise InvalidQuery(f'{name}: needs a token, as in {name}:" of".')
        terms.tokens.append(TokenTerm(value, quoted, 1 if name == "promotes" else -1))
    elif name in ATTENDS:
        if not value:
            raise InvalidQuery(f'{name}: needs a token, as in {name}:" of".')
        terms.attended.append(AttendedToken(value, quoted, name == "attends"))
    elif name == "evidence":
        terms.evidence.append(_evidence(value))
    elif name == "score":
        terms.scores.append(_score(value, score_names))
    elif name == "layer":
        layers = parse_layers(value)
        terms.layers = layers if terms.layers is None else terms.layers & layers
    elif name in LABELS:
        terms.labels.append(_label(name, value))
    elif name == "text" or (quoted and not name):
        terms.words.extend(_words(value))
    elif name:
        close = get_close_matches(name, FIELDS, 1)
        hint = f"Did you mean {close[0]}:?" if close else f"It knows {', '.join(FIELDS)}."
        raise InvalidQuery(f"Search does not know {name}:. {hint}")
    else:
        _add_bare(terms, value)


def _add_bare(terms: _Terms, value: str) -> None:
    if value.lower() in (f"{name}:" for name in FIELDS):
        raise InvalidQuery(f"{value} needs something after the colon, without a space between.")
    for kind, refs in ((HeadRef, terms.heads), (FeatureRef, terms.features)):
        try:
            refs.append(kind.parse(value))  # type: ignore[arg-type]
        except InvalidReference:
            continue
        return
    terms.words.extend(_words(value))


def _words(value: str) -> list[str]:
    words = words_of(value)
    if not words:
        raise InvalidQuery(
            f'"{value[:30]}" has no word of two or more letters. To find a token, write promotes:"…".'
        )
    return words


def _compared(value: str, example: str) -> re.Match[str]:
    match = _COMPARISON.fullmatch(value)
    if match is None:
        raise InvalidQuery(f"{value[:30]} is not a comparison such as {example}.")
    return match


def _check_name(name: str, names: Sequence[str], what: str) -> str:
    plain = name.lower().replace("-", "_")
    plain = plain if plain in names else _OTHER_NAMES.get(plain, plain)
    if plain not in names:
        close = get_close_matches(plain, names, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(names)}."
        raise InvalidQuery(f"There is no {what} {name[:30]}. {hint}")
    return plain


def _evidence(value: str) -> ScoreComparison:
    match = _compared(value, "evidence:induction>=0.8")
    kind = _check_name(match["name"], KINDS, "evidence")
    sign, number = match["sign"] or ">=", float(match["number"] or HALF)
    if sign not in (">", ">=") or not 0 <= number <= 1 or (number == 0 and sign == ">="):
        raise InvalidQuery(
            f"evidence:{kind} is a share of the examples: compare it by > or >= with a number up to 1."
        )
    return ScoreComparison(kind, sign, number)


def _label(name: str, value: str) -> LabelTerm:
    plain = normalised(value.replace("_", " "))
    if not plain:
        raise InvalidQuery(f"{name}: needs something after the colon, without a space between.")
    if name == "role":
        try:
            return LabelTerm(name, find_role(value.replace("_", " ")).name)
        except UnknownRole as error:
            names = [role.name for role in ROLES]
            close = get_close_matches(plain, names, 1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(names)}."
            raise InvalidQuery(f"There is no role {value[:30]}. {hint}") from error
    if name == "type":
        return LabelTerm(name, _TYPES[_check_name(plain.replace(" ", "_"), tuple(_TYPES), "type of head")])
    if name == "status":
        return LabelTerm(name, _check_name(plain, SEARCHED_STATUSES, "status"))
    return LabelTerm(name, plain)


def _score(value: str, names: Sequence[str]) -> ScoreComparison:
    match = _compared(value, "score:induction>0.3")
    name = _check_name(match["name"], names, "score")
    if match["sign"] is None:
        raise InvalidQuery(f"score:{name} needs a comparison, such as score:{name}>0.3.")
    return ScoreComparison(name, match["sign"], float(match["number"]))


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), quoted)
