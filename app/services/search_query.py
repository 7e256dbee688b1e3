"""The query language of search: what a person types, as terms, or one sentence on what is wrong with it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from app.domain.evidence import KINDS
from app.domain.refs import FeatureRef, HeadRef, InvalidReference
from app.store.search_index import words_of

FIELDS = ("promotes", "suppresses", "text", "evidence", "score", "layer")
MAX_TERMS = 8
HALF = 0.5  # evidence without a number: at least half of the examples
_TERM = re.compile(r'(?:(?P<field>[A-Za-z_]+):)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]+))(?=\s|$)')
_COMPARISON = re.compile(r"(?P<name>[A-Za-z_-]+)(?:(?P<sign>>=|<=|>|<|=)(?P<number>-?\d*\.?\d+))?")
_LAYERS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}
_OTHER_NAMES = {
    "previous": "previous_token",
    "same": "same_token",
    "duplicate_token": "same_token",
    "copies": "copying",
}


class InvalidQuery(ValueError):
    """The query cannot be read; the message is a sentence for the person who typed it."""


@dataclass(frozen=True)
class TokenTerm:
    text: str
    exactly: bool  # quoted: with its spaces and letter case
    sign: int


@dataclass(frozen=True)
class Comparison:
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
class SearchQuery:
    """All terms hold at once."""

    tokens: tuple[TokenTerm, ...] = ()
    words: tuple[str, ...] = ()
    evidence: tuple[Comparison, ...] = ()
    scores: tuple[Comparison, ...] = ()
    layers: frozenset[int] | None = None
    heads: tuple[HeadRef, ...] = ()
    features: tuple[FeatureRef, ...] = ()

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
    evidence: list[Comparison] = field(default_factory=list[Comparison])
    scores: list[Comparison] = field(default_factory=list[Comparison])
    layers: frozenset[int] | None = None
    heads: list[HeadRef] = field(default_factory=list[HeadRef])
    features: list[FeatureRef] = field(default_factory=list[FeatureRef])


def parse_query(text: str, score_names: Sequence[str]) -> SearchQuery:
    """Raises InvalidQuery."""
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
    )
    if query.features and (query.asks_for_features or query.scores or query.layers is not None):
        raise InvalidQuery(f"{query.features[0]} names one feature already: leave out the other terms.")
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
    elif name == "evidence":
        terms.evidence.append(_evidence(value))
    elif name == "score":
        terms.scores.append(_score(value, score_names))
    elif name == "layer":
        found = parse_layers(value)
        terms.layers = found if terms.layers is None else terms.layers & found
    elif name == "text" or quoted:
        terms.words.extend(_words(value))
    elif name:
        close = get_close_matches(name, FIELDS, 1)
        meant = f"Did you mean {close[0]}:?" if close else f"It knows {', '.join(FIELDS)}."
        raise InvalidQuery(f"Search does not know {name}:. {meant}")
    else:
        _add_bare(terms, value)


def _add_bare(terms: _Terms, value: str) -> None:
    if value.lower() in (f"{name}:" for name in FIELDS):
        raise InvalidQuery(f"{value} needs something after the colon, without a space between.")
    for kind, found in ((HeadRef, terms.heads), (FeatureRef, terms.features)):
        try:
            found.append(kind.parse(value))  # type: ignore[arg-type]
        except InvalidReference:
            continue
        return
    terms.words.extend(_words(value))


def _words(value: str) -> list[str]:
    words = words_of(value)
    if not words:
        raise InvalidQuery(
            f'"{value[:30]}" holds no word of two letters or more. To find a token, write promotes:"…".'
        )
    return words


def _compared(value: str, example: str) -> re.Match[str]:
    match = _COMPARISON.fullmatch(value)
    if match is None:
        raise InvalidQuery(f"{value[:30]} is not a comparison such as {example}.")
    return match


def _known(name: str, names: Sequence[str], what: str) -> str:
    plain = name.lower().replace("-", "_")
    plain = plain if plain in names else _OTHER_NAMES.get(plain, plain)
    if plain not in names:
        close = get_close_matches(plain, names, 1)
        meant = f"Did you mean {close[0]}?" if close else f"There are {', '.join(names)}."
        raise InvalidQuery(f"There is no {what} {name[:30]}. {meant}")
    return plain


def _evidence(value: str) -> Comparison:
    match = _compared(value, "evidence:induction>=0.8")
    kind = _known(match["name"], KINDS, "evidence")
    sign, number = match["sign"] or ">=", float(match["number"] or HALF)
    if sign not in (">", ">=") or not 0 <= number <= 1 or (number == 0 and sign == ">="):
        raise InvalidQuery(
            f"evidence:{kind} is a share of the examples: compare it by > or >= with a number up to 1."
        )
    return Comparison(kind, sign, number)


def _score(value: str, names: Sequence[str]) -> Comparison:
    match = _compared(value, "score:induction>0.3")
    name = _known(match["name"], names, "score")
    if match["sign"] is None:
        raise InvalidQuery(f"score:{name} needs a comparison, such as score:{name}>0.3.")
    return Comparison(name, match["sign"], float(match["number"]))


def parse_layers(value: str) -> frozenset[int]:
    """Layers such as 5-7 or 2,5. Raises InvalidQuery."""
    layers: set[int] = set()
    for part in value.split(","):
        match = _LAYERS.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise InvalidQuery(f"layer:{value[:30]} is not a list of layers such as layer:5-7 or layer:2,5.")
        layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(layers)


def _unescaped(quoted: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), quoted)
