"""Page dataclasses of the compare page."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.records import Ranking
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import Pair, RunSummary, TokenLogit
from app.services.experiments.models import ExperimentSummary, Figure
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class ComparedScore:
    """One score of the compared heads."""

    name: Annotated[str, "The score"]
    by_head: Annotated[tuple[float | None, ...], "Its value for each compared head; null where it has none"]
    values: Annotated[tuple[float, ...], "The values of all heads of the model", HTML_ONLY]


@dataclass(frozen=True)
class ComparedFeature:
    """A feature that is among the top ten of at least one of the compared heads."""

    feature: Annotated[FeatureRef, "The feature"]
    ranks: Annotated[tuple[int | None, ...], "Place among each head's top ten; null beyond it"]
    decoder_weight_shares: Annotated[
        tuple[float | None, ...], "Decoder weight share of each head; null for a head of another layer"
    ]
    fve: Annotated[tuple[float | None, ...], "FVE by each head (covariance share, active tokens)"]
    in_all: Annotated[bool, "Whether it is among the top ten of every compared head"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]


@dataclass(frozen=True)
class FeatureExamples:
    """A head's top feature with its strongest examples, seen through that head."""

    feature: Annotated[FeatureRef, "The feature"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]
    evidence: Annotated[dict[str, float], "Share of its top examples that show each behaviour"]
    evidence_n: Annotated[int, "Top examples counted"]
    max_activation: Annotated[float, "Largest activation"]
    dfa_maximum: Annotated[float, "Largest |DFA| of the head over the stored examples"]
    pairs: Annotated[tuple[Pair, ...], "Its strongest examples with their text"]


@dataclass(frozen=True)
class ComparedHead:
    head: Annotated[HeadRef, "The head"]
    has_sae: Annotated[bool, "Whether its layer has an SAE in this atlas"]
    strongest: Annotated[tuple[FeatureExamples, ...], "Its first features with their strongest examples"]


@dataclass(frozen=True)
class ComparedExperiment:
    """The experiment of one kind with results for most of the compared heads, the newest in a tie."""

    experiment: Annotated[ExperimentSummary, "What was run, and what it found"]
    heads: Annotated[tuple[HeadRef, ...], "The compared heads that it has results for"]
    figures: Annotated[
        tuple[Figure, ...], "Its figures of these heads; none where its result is of another version"
    ]


@dataclass(frozen=True)
class NearestHead:
    """A head whose scores are near those of another."""

    head: Annotated[HeadRef, "The head"]
    distance: Annotated[float, "Root mean square difference of scores, in standard deviations over the heads"]


@dataclass(frozen=True)
class LeadingHead:
    """The head with the highest value of one score."""

    score: Annotated[str, "The score"]
    head: Annotated[HeadRef, "The head"]
    value: Annotated[float, "Its value"]
    nearest: Annotated[NearestHead, "The head with the scores nearest to its own"]


@dataclass(frozen=True)
class ComparePage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    rank: Annotated[Ranking, "What the features are ranked by"]
    heads: Annotated[tuple[ComparedHead, ...], "The compared heads, in the order asked for"]
    scores: Annotated[tuple[ComparedScore, ...], "Every score of the heads"]
    features: Annotated[
        tuple[ComparedFeature, ...], "Their top features: those of every head first, then head by head"
    ]
    experiments: Annotated[tuple[ComparedExperiment, ...], "What experiments found of the heads"]
    others: Annotated[tuple[HeadRef, ...], "Heads of the first one's layer that could be added"]
    n_heads_total: Annotated[int, "Heads of the model"]
    previous: Annotated[HeadRef | None, "The head before the last compared one, in its layer"]
    next: Annotated[HeadRef | None, "The head after the last compared one, in its layer"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    nearest: Annotated[
        tuple[NearestHead, ...], "Heads with scores near the chosen one's, where one is chosen"
    ]
    leading: Annotated[tuple[LeadingHead, ...], "The first head by each score, where none is chosen"]
