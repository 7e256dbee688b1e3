"""What each page shows: one frozen dataclass a page, every field with its help, for page and JSON alike."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.records import Ranking, SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.services.atlas_parts import AtlasNotes, Colouring, Done, HeadNotes, LayerNotes, Order, StrongScore
from app.services.feature_models import ExampleFigures, SimilarFeature
from app.services.page_parts import (
    DRAWN,
    Align,
    Bins,
    FeatureThroughHead,
    Fve,
    HeadFinding,
    Pair,
    PairGroup,
    RunSummary,
    Standing,
    TokenLogit,
)
from app.services.panel_models import NotesPanel, Panel


@dataclass(frozen=True)
class HeadPage:
    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    scores: Annotated[dict[str, float], "The head's scores by name"]
    rank: Annotated[Ranking, "What the features are ranked by"]
    align: Annotated[Align, "What stands at the hinge: the end of the matched prefix, or the tokens", DRAWN]
    open: Annotated[FeatureRef | None, "The row that was asked to be open; null for the strongest", DRAWN]
    open_group: Annotated[int, "Which of its groups of activation", DRAWN]
    features: Annotated[tuple[FeatureThroughHead, ...], "The head's top features, best first"]
    k: Annotated[int, "How many features were asked for"]
    previous: Annotated[HeadRef | None, "The head before this one"]
    next: Annotated[HeadRef | None, "The head after this one"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    sae: Annotated[SaeRecord | None, "The layer's SAE; null where the atlas has none"]
    concentration: Annotated[float | None, "The head's largest decoder weight share among live features"]
    rank_correlation: Annotated[
        float | None, "Spearman correlation of decoder weight share and FVE over its features"
    ]
    top_overlap: Annotated[int | None, "Features that are in the top ten by both rankings"]
    standings: Annotated[tuple[Standing, ...], "Each score among all heads", DRAWN]
    experiments: Annotated[tuple[HeadFinding, ...], "What experiments found of the head, newest first"] = ()
    annotation: Annotated[Panel | None, "The form beside it; null where nobody annotates", DRAWN] = None


@dataclass(frozen=True)
class FeatureRow:
    """One row of a head's page, for a request of that row alone."""

    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    rank: Annotated[Ranking, "What the features are ranked by"]
    align: Annotated[Align, "What stands at the hinge: the end of the matched prefix, or the tokens", DRAWN]
    k: Annotated[int, "How many features were asked for"]
    row: Annotated[FeatureThroughHead, "The row"]
    annotation: Annotated[Panel | None, "The form of the page; null where nobody annotates", DRAWN] = None


@dataclass(frozen=True)
class HeadShare:
    """One head's part in a feature."""

    head: Annotated[HeadRef, "The head"]
    decoder_weight_norm: Annotated[float, "Norm of the head's slice of the decoder row"]
    decoder_weight_share: Annotated[float, "That norm over the sum of all heads'"]
    fve: Annotated[Fve, "Fraction of variance explained by the head"]
    evidence_counts: Annotated[dict[str, int], "Top examples that show each behaviour through the head"]
    top_logit: Annotated[
        float | None, "Logit of the feature's most promoted token through this head's slice, if listed"
    ]


@dataclass(frozen=True)
class FeaturePage:
    model: Annotated[str, "The atlas"]
    feature: Annotated[FeatureRef, "The feature"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    head: Annotated[HeadRef | None, "The head whose DFA is shown; null: that of all heads, summed"]
    all_heads: Annotated[bool, "Whether the run kept the DFA of all heads, summed"]
    align: Annotated[Align, "What stands at the hinge: the end of the matched prefix, or the tokens", DRAWN]
    whole: Annotated[Pair | None, "The example whose whole text is shown, where one was asked for", DRAWN]
    n_active: Annotated[int, "Counted tokens where the feature is active"]
    density: Annotated[float, "n_active over counted tokens"]
    max_activation: Annotated[float, "Largest activation"]
    mean_activation: Annotated[float, "Mean activation over active tokens"]
    heads: Annotated[tuple[HeadShare, ...], "Every head's part in the feature"]
    promoted: Annotated[tuple[TokenLogit, ...], "Tokens the feature promotes"]
    suppressed: Annotated[tuple[TokenLogit, ...], "Tokens the feature suppresses"]
    head_promoted: Annotated[
        tuple[TokenLogit, ...], "Tokens promoted by the chosen head's slice alone; none for all heads"
    ]
    head_suppressed: Annotated[
        tuple[TokenLogit, ...], "Tokens suppressed by the chosen head's slice alone; none for all heads"
    ]
    logit_histogram: Annotated[Bins, "Logit effects over the vocabulary"]
    activation_histogram: Annotated[Bins, "Activations over active tokens"]
    evidence: Annotated[
        dict[str, float], "Share of the top examples that show each behaviour through the head"
    ]
    evidence_n: Annotated[int, "Top examples counted"]
    groups: Annotated[tuple[PairGroup, ...], "Examples with their text by group of activation"]
    worst_residual: Annotated[float, "Largest residual over the stored examples"]
    dfa_maximum: Annotated[float, "Largest |DFA| of the chosen head, or of all, over the stored examples"]
    sae: Annotated[SaeRecord, "The layer's SAE"]
    similar: Annotated[tuple[SimilarFeature, ...], "Stored features with the most similar decoder rows"]
    figures: Annotated[ExampleFigures, "What the stored examples have in common through the head"]
    n_layers: Annotated[int, "Layers of the model"]
    previous: Annotated[FeatureRef | None, "The stored feature of the layer before this one"]
    next: Annotated[FeatureRef | None, "The stored feature of the layer after this one"]
    annotation: Annotated[NotesPanel | None, "Labels and notes; null where nobody annotates", DRAWN] = None


@dataclass(frozen=True)
class AtlasHead:
    head: Annotated[HeadRef, "The head"]
    scores: Annotated[
        dict[str, float], "Its scores by name; concentration among them where the layer has an SAE"
    ]
    matches: Annotated[bool, "Whether it fulfils the filters, where there are any"] = True
    done: Annotated[Done, "Who has submitted a record of it"] = "nobody"
    notes: Annotated[HeadNotes | None, "The labels shown of it; null where there are none"] = None


@dataclass(frozen=True)
class AtlasLayer:
    layer: Annotated[int, "The layer, from 0"]
    sae: Annotated[SaeRecord | None, "Its SAE; null where the atlas has none"]
    heads: Annotated[tuple[AtlasHead, ...], "Its heads, by index or by value"]
    notes: Annotated[LayerNotes | None, "What the labels say of it; null where there are none"] = None
    strong: Annotated[
        tuple[StrongScore, ...], "Heads whose attention names a behaviour, strongest first"
    ] = ()


@dataclass(frozen=True)
class Job:
    """A precompute job, as it last reported."""

    fingerprint: Annotated[str, "The run it makes"]
    stage: Annotated[str, "What it is doing"]
    done: Annotated[int, "Units done"]
    total: Annotated[int | None, "Units in all; null while that is not known"]
    unit: Annotated[str, "What is counted"]
    rate: Annotated[float | None, "Units a second; null before the first is done"]
    state: Annotated[str, "running, done or failed"]
    updated_at: Annotated[str, "When it last reported, UTC"]


@dataclass(frozen=True)
class AtlasFilter:
    """What of the atlas stands out; the rest is faded. Empty and null ask for nothing."""

    layers: Annotated[str, "Layers as they were asked for, such as 5-7 or 2,5"] = ""
    low: Annotated[float | None, "Smallest value of the score"] = None
    high: Annotated[float | None, "Largest value of the score"] = None
    role: Annotated[str, "A role that is among the head's"] = ""
    type: Annotated[str, "The head type"] = ""
    status: Annotated[str, "Who has submitted a record: nobody, you, others, both or anyone"] = ""


@dataclass(frozen=True)
class AtlasPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    score: Annotated[str, "The score the cells show"]
    score_names: Annotated[tuple[str, ...], "All scores"]
    layers: Annotated[tuple[AtlasLayer, ...], "Layers from 0 up, each with its heads"]
    strongest: Annotated[tuple[AtlasHead, ...], "The heads with the largest values of the score"]
    jobs: Annotated[tuple[Job, ...], "Precompute jobs that have not finished"]
    filter: Annotated[AtlasFilter, "What was filtered by"]
    n_matching: Annotated[int, "Heads that fulfil the filters"]
    colour: Annotated[Colouring, "What the cells are coloured by"]
    order: Annotated[Order, "Order of the heads within a layer"]
    annotator: Annotated[str, "Whose labels were asked for; empty for the default"]
    notes: Annotated[AtlasNotes, "The annotations"]


@dataclass(frozen=True)
class AtlasSummary:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary | None, "Its live run; null until one is published"]
    n_layers: Annotated[int | None, "Layers of the model"]
    n_heads: Annotated[int | None, "Heads in a layer"]
    sae_layers: Annotated[tuple[int, ...], "Layers with an SAE"]


@dataclass(frozen=True)
class IndexPage:
    atlases: Annotated[tuple[AtlasSummary, ...], "The atlases of the store, by name"]
    jobs: Annotated[tuple[Job, ...], "Precompute jobs that have not finished"]


@dataclass(frozen=True)
class FeatureListing:
    feature: Annotated[FeatureRef, "The feature"]
    density: Annotated[float, "Share of counted tokens where it is active"]
    max_activation: Annotated[float, "Largest activation"]
    head: Annotated[HeadRef, "The head with the largest decoder weight share"]
    decoder_weight_share: Annotated[float, "That share"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]


@dataclass(frozen=True)
class LayerPage:
    model: Annotated[str, "The atlas"]
    layer: Annotated[int, "The layer, from 0"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    sae: Annotated[SaeRecord, "The layer's SAE"]
    features: Annotated[tuple[FeatureListing, ...], "Stored features by index"]
    following: Annotated[int | None, "Index to ask for the next page after; null on the last page"]
    n_layers: Annotated[int, "Layers of the model"]
    heads: Annotated[tuple[HeadRef, ...], "The heads of the layer"]


@dataclass(frozen=True)
class ErrorPage:
    status: Annotated[int, "HTTP status code"]
    title: Annotated[str, "Its name"]
    message: Annotated[str, "What went wrong, in one sentence"]
