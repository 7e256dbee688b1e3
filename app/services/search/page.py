"""The search page: heads and features that match a query, in a fixed number of database queries."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.evidence import KINDS
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.examples import from_records
from app.services.reading.context import AtlasContext
from app.services.reading.layer_ranges import InvalidQuery
from app.services.reading.scores import all_scores, score_names
from app.services.search.attended import heads_that_attend
from app.services.search.labels import Labels, matching, visible_labels
from app.services.search.models import FeatureHit, HeadCount, HeadHit, SearchPage, Suggestion
from app.services.search.query import SearchQuery, TokenTerm, parse_query
from app.services.search.suggestions import quoted_if_needed
from app.store.atlas.features import get_features
from app.store.atlas.reads import get_texts
from app.store.search import (
    Condition,
    FiresNear,
    FoundFeature,
    MovesToken,
    ShowsEvidence,
    find_features,
    words_like,
)

N_HITS = 25  # features on one page
MAX_PAGES = 40
N_TOKENS = 5
N_SUGGESTED = 6
_FOUND_BY = {MovesToken: "logit", FiresNear: "examples", ShowsEvidence: "share"}
EXAMPLES = (
    Suggestion('promotes:" of"', "features that raise this very token, its leading space included"),
    Suggestion("promotes:of", "the same up to a leading space and letter case"),
    Suggestion("suppresses:the", "features that lower it"),
    Suggestion("class method", "features that fire near both words"),
    Suggestion(
        "evidence:induction>=0.8", "features that read, in most examples, what followed an earlier copy"
    ),
    Suggestion("evidence:copying promotes:self", "both at once: features that copy this token"),
    Suggestion("score:induction>0.3", "heads by a score"),
    Suggestion("score:previous_token>0.5 layer:0-9", "heads by a score in some layers"),
    Suggestion(
        'attends:","', "heads that attend to this token beyond its share of the corpus; also attends_from:"
    ),
    Suggestion(
        "role:induction", "heads with this role, by any record that you may see; also type: and group:"
    ),
    Suggestion("status:open layer:0-9", "heads without a record; also draft, submitted, unsure, skipped"),
    Suggestion("L5H1", "a head; also 5.1"),
    Suggestion("L5F1234", "a feature"),
)


def search_page(context: AtlasContext, text: str, page: int = 1) -> SearchPage:
    """The search results. For a query that is invalid or matches nothing, the reason and suggestions.

    Annotations are searched as far as the viewer may see them. page: which N_HITS of the features to show,
    from 1 to MAX_PAGES.
    """
    names = score_names(context.heads)
    answer = _answer(context, text, names, limit=page * N_HITS + 1)
    features, conditions, problem = answer.features, answer.conditions, answer.problem
    first = (page - 1) * N_HITS
    more = len(features) > first + N_HITS
    if features and first >= len(features):
        problem = f"These are {len(features)} features; there is no part {page} of them."
    hits, head_hits = _hits(context, features[first : first + N_HITS]), () if conditions else answer.heads
    model = context.run.record.model
    return SearchPage(
        model=context.run.slug,
        run=from_records.summarise_run(context.run.record),
        query=text,
        problem=problem,
        heads=head_hits,
        score_names=names,
        features=hits,
        where=_where(hits, head_hits),
        n_layers=model.n_layers,
        n_heads=model.n_heads,
        page=page,
        first=first + 1,
        more=more,
        next_page=page + 1 if more and page < MAX_PAGES else None,
        found_by=_FOUND_BY[type(conditions[0])] if conditions else None,
        suggestions=answer.suggestions,
        evidence_kinds=KINDS,
    )


@dataclass(frozen=True)
class _Answer:
    """The result of a query: heads and first features, or why there are none, with suggestions."""

    heads: tuple[HeadHit, ...] = ()
    features: Sequence[FoundFeature] = ()
    conditions: Sequence[Condition] = ()
    problem: str | None = None
    suggestions: tuple[Suggestion, ...] = ()


def _answer(context: AtlasContext, text: str, names: Sequence[str], limit: int) -> _Answer:
    heads: tuple[HeadHit, ...] = ()
    try:
        query = parse_query(text, names)
        _check_layers(context, query)
        heads = _heads(context, query)
        conditions = _conditions(context, query)
    except _NothingFound as nothing:
        return _Answer(heads, problem=str(nothing), suggestions=nothing.suggestions)
    except InvalidQuery as error:
        return _Answer(problem=str(error), suggestions=EXAMPLES)
    features = _features(context, query, conditions, heads, limit)
    if features or heads:
        return _Answer(heads, features, conditions)
    if query.is_empty:
        return _Answer(suggestions=EXAMPLES)
    suggestions = tuple(_other_words(context, query)) or EXAMPLES
    return _Answer((), (), conditions, _why_nothing(context, query), suggestions)


def bare_reference(context: AtlasContext, text: str) -> HeadRef | FeatureRef | None:
    """The head or feature that the query consists of, to redirect to; None for any other query."""
    try:
        query = parse_query(text, ())
    except InvalidQuery:
        return None
    named = (*query.heads, *query.features)
    if len(named) != 1 or query.asks_for_features or query.layers is not None:
        return None
    [ref] = named
    if isinstance(ref, HeadRef):
        return ref if any(head.ref == ref for head in context.heads) else None
    try:
        get_features(context.session, context.run, [ref], with_examples=False)
    except NotFound:
        return None
    return ref


class _NothingFound(Exception):
    """A term that no feature can match, with suggestions for other terms."""

    def __init__(self, message: str, suggestions: Sequence[Suggestion]) -> None:
        super().__init__(message)
        self.suggestions = tuple(suggestions)


def _check_layers(context: AtlasContext, query: SearchQuery) -> None:
    n_layers = context.run.record.model.n_layers
    if query.layers is not None and not any(layer < n_layers for layer in query.layers):
        raise InvalidQuery(f"The model has layers 0 to {n_layers - 1}.")


def _where(features: Sequence[FeatureHit], heads: Sequence[HeadHit]) -> tuple[HeadCount, ...]:
    counts = Counter(hit.head for hit in (*features, *heads))
    return tuple(HeadCount(head, counts[head]) for head in sorted(counts))


def _heads(context: AtlasContext, query: SearchQuery) -> tuple[HeadHit, ...]:
    """Heads that match every term about heads; empty if no term is about heads."""
    if not query.asks_for_heads and query.layers is None:
        return ()
    labels: Labels = {}
    if query.labels:
        labels = matching(visible_labels(context), query.labels, [head.ref for head in context.heads])
    attended = [heads_that_attend(context, term) for term in query.attended]
    hits: list[HeadHit] = []
    for head in context.heads:
        if any(head.ref not in shares for shares in attended):
            continue
        if query.labels and head.ref not in labels:
            continue
        scores = all_scores(head)
        if query.heads and head.ref not in query.heads:
            continue
        if query.layers is not None and head.ref.layer not in query.layers:
            continue
        if all(term.holds(scores.get(term.name, math.nan)) for term in query.scores):
            share = attended[0][head.ref] if attended else None
            hits.append(HeadHit(head.ref, scores, labels.get(head.ref, ()), share))
    if query.scores:
        first = query.scores[0]
        down = -1 if first.sign in (">", ">=") else 1
        hits.sort(key=lambda head: (down * head.scores[first.name], head.head))
    elif attended:
        hits.sort(key=lambda head: (-(head.attended or 0), head.head))
    return tuple(hits)


def _conditions(context: AtlasContext, query: SearchQuery) -> list[Condition]:
    return [
        *(_moves(context, term) for term in query.tokens),
        *(FiresNear(word) for word in query.words),
        *(ShowsEvidence(term.name, term.number, term.sign == ">") for term in query.evidence),
    ]


def _moves(context: AtlasContext, term: TokenTerm) -> MovesToken:
    index = context.token_index
    token_ids = index.find(term.text, term.exactly)
    if token_ids:
        return MovesToken(token_ids, term.sign)
    name = "promotes" if term.sign > 0 else "suppresses"
    near = [text for text in index.beginning_with(term.text, N_SUGGESTED) if text.isprintable()]
    others = [Suggestion(f"{name}:{quoted_if_needed(text)}", "a token of the model") for text in near]
    if term.exactly and index.find(term.text, exactly=False):
        others.insert(0, Suggestion(f"{name}:{quoted_if_needed(term.text.strip())}", "in any spelling"))
    excerpt = term.text[:30].replace("\n", "\\n")
    raise _NothingFound(f"\u201c{excerpt}\u201d is not one token of the model.", others or EXAMPLES)


def _features(
    context: AtlasContext,
    query: SearchQuery,
    conditions: list[Condition],
    heads: tuple[HeadHit, ...],
    limit: int,
) -> list[FoundFeature]:
    if query.features:
        try:
            records = get_features(context.session, context.run, query.features, with_examples=False)
        except NotFound:
            return []
        return [FoundFeature(record.ref, record.largest_head, math.nan) for record in records]
    if not conditions:
        return []
    by_head = [head.head for head in heads] if query.asks_for_heads else None
    return find_features(context.session, context.run, conditions, query.layers, by_head, limit)


def _why_nothing(context: AtlasContext, query: SearchQuery) -> str:
    if query.features:
        return f"{query.features[0]} is not among the stored features of this atlas."
    if query.heads and not query.asks_for_features and not query.labels:
        model = context.run.record.model
        return f"{query.heads[0]} is not one of the model's {model.n_layers} x {model.n_heads} heads."
    what = "feature" if query.asks_for_features else "head"
    n_terms = (
        len(query.tokens)
        + len(query.words)
        + len(query.evidence)
        + len(query.scores)
        + len(query.labels)
        + len(query.attended)
    )
    return f"No {what} fulfils {'all of this' if n_terms > 1 else 'this'}."


def _other_words(context: AtlasContext, query: SearchQuery) -> list[Suggestion]:
    """Suggestions for the query's last word: similar indexed words, and kinds of evidence it may mean."""
    if not query.words:
        return []
    last = query.words[-1]
    near = words_like(context.session, context.run, last[:4], N_SUGGESTED)
    named = [Suggestion(f"evidence:{kind}", "evidence of that name") for kind in KINDS if last in kind]
    return [*named, *(Suggestion(word, "a word near which features fire") for word in near if word != last)]


def _hits(context: AtlasContext, features: Sequence[FoundFeature]) -> tuple[FeatureHit, ...]:
    refs = [hit.feature for hit in features]
    records = get_features(context.session, context.run, refs, with_examples=True)
    sequence_ids: set[int] = set()
    for record in records:
        sequence_ids |= from_records.sequences_of(record, record.groups[0], 1) if record.groups else set()
    sequences = get_texts(context.session, context.run, sequence_ids) if sequence_ids else {}
    hits: list[FeatureHit] = []
    for hit, record in zip(features, records, strict=True):
        head, groups = hit.head.head, record.groups[:1]
        pairs = [
            from_records.group_pairs(record, group, head, 1, sequences, context.vocabulary)
            for group in groups
        ]
        hits.append(
            FeatureHit(
                feature=hit.feature,
                head=hit.head,
                decoder_weight_share=float(record.decoder_weight_share[head]),
                density=record.density,
                max_activation=record.max_activation,
                dfa_maximum=from_records.dfa_maximum(record, head),
                found_by=from_records.finite(hit.value),
                promoted=from_records.whole_logits(record.promoted, context.vocabulary)[:N_TOKENS],
                strongest=pairs[0][0] if pairs and pairs[0] else None,
            )
        )
    return tuple(hits)
