"""Page dataclasses of search, every field with its help."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import Pair, RunSummary, TokenLogit
from app.services.search.labels import HeadLabels


@dataclass(frozen=True)
class FeatureHit:
    """A feature that matches the query."""

    feature: Annotated[FeatureRef, "The feature"]
    head: Annotated[HeadRef, "The head that writes most of it, or that shows the evidence asked for"]
    decoder_weight_share: Annotated[float, "That head's decoder weight share"]
    density: Annotated[float, "Share of counted tokens where it is active"]
    max_activation: Annotated[float, "Largest activation"]
    dfa_maximum: Annotated[float, "Largest |DFA| of the head over the stored examples"]
    found_by: Annotated[
        float | None, "Size of the logit, number of examples or share, by the first term of the query"
    ]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]
    strongest: Annotated[Pair | None, "Its strongest example through the head"]


@dataclass(frozen=True)
class HeadHit:
    """A head that matches the query."""

    head: Annotated[HeadRef, "The head"]
    scores: Annotated[dict[str, float], "Its scores"]
    labels: Annotated[tuple[HeadLabels, ...], "The records that fulfil the query, as far as they may be seen"]
    attended: Annotated[
        float | None,
        "Share of its attention, sinks left out, to or from the token of the first attends term; null without one",
    ] = None


@dataclass(frozen=True)
class HeadCount:
    head: Annotated[HeadRef, "A head of the results"]
    n: Annotated[int, "How many of the listed features name it as their head; 1 in a list of heads"]


@dataclass(frozen=True)
class Suggestion:
    query: Annotated[str, "A query"]
    help: Annotated[str, "What it finds"]


@dataclass(frozen=True)
class SearchPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    query: Annotated[str, "What was asked"]
    problem: Annotated[str | None, "What is wrong with the query, in one sentence"]
    heads: Annotated[tuple[HeadHit, ...], "The heads that fulfil the query"]
    score_names: Annotated[tuple[str, ...], "Scores that are shown and can be searched by"]
    features: Annotated[tuple[FeatureHit, ...], "The features that fulfil it, best first"]
    where: Annotated[tuple[HeadCount, ...], "The heads of the results, in order"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    page: Annotated[int, "Which part of the features is listed, from 1"]
    first: Annotated[int, "Place of the first listed feature among all, from 1"]
    more: Annotated[bool, "Whether there are more features after these"]
    next_page: Annotated[int | None, "The part after this one; null at the end, and where there are too many"]
    found_by: Annotated[str | None, "What the features are ordered by: logit, examples or share"]
    suggestions: Annotated[tuple[Suggestion, ...], "Queries to try instead, or next"]
    evidence_kinds: Annotated[tuple[str, ...], "Kinds of evidence that can be asked for"]


@dataclass(frozen=True)
class SearchSuggestions:
    """Completions of a query while it is typed."""

    model: Annotated[str, "The atlas"]
    query: Annotated[str, "What has been typed"]
    suggestions: Annotated[tuple[Suggestion, ...], "Whole queries"]
