"""Page dataclasses of features: one feature, and the features of a layer."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.numbers import FeatureNumbers, HeadPartNumbers
from app.domain.records import SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.citation_models import Citations
from app.services.annotations.models import NotesPanel
from app.services.examples.models import (
    Align,
    Bins,
    Fve,
    Pair,
    PairGroup,
    RunSummary,
    TokenLogit,
)
from app.services.features.figure_models import ExampleFigures, SimilarFeature
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class HeadShare(HeadPartNumbers[float]):
    """One head's part in a feature."""

    head: Annotated[HeadRef, "The head"]
    fve: Annotated[Fve, "Fraction of variance explained by the head"]
    evidence_counts: Annotated[dict[str, int], "Top examples that show each behaviour through the head"]
    top_source_share: Annotated[
        float | None,
        "Share of the head's positive DFA on its strongest source, mean over the top examples; null without any",
    ]


@dataclass(frozen=True)
class FeaturePage(FeatureNumbers):
    model: Annotated[str, "The atlas"]
    feature: Annotated[FeatureRef, "The feature"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    head: Annotated[HeadRef | None, "The head whose DFA is shown; null for the sum over heads"]
    all_heads: Annotated[bool, "Whether the run kept the DFA of all heads, summed"]
    align: Annotated[
        Align, "What stands at the anchor: the end of the matched prefix, or the tokens", HTML_ONLY
    ]
    whole: Annotated[Pair | None, "The example whose whole text is shown, where one was asked for", HTML_ONLY]
    heads: Annotated[tuple[HeadShare, ...], "Every head's part in the feature"]
    promoted: Annotated[tuple[TokenLogit, ...], "Tokens the feature promotes"]
    suppressed: Annotated[tuple[TokenLogit, ...], "Tokens the feature suppresses"]
    head_promoted: Annotated[
        tuple[TokenLogit, ...],
        "Tokens promoted by the chosen head's slice alone; empty for all heads summed, and for heads whose tokens are "
        "not stored: a run stores them for the heads that list the feature and for the head with the largest share",
    ]
    head_suppressed: Annotated[
        tuple[TokenLogit, ...], "Tokens suppressed by the chosen head's slice alone; stored as those promoted"
    ]
    logit_histogram: Annotated[Bins, "Logit effects over the vocabulary"]
    activation_histogram: Annotated[Bins, "Activations over active tokens"]
    evidence: Annotated[
        dict[str, float], "Share of the top examples that show each behaviour through the head"
    ]
    evidence_n: Annotated[int, "Top examples counted"]
    groups: Annotated[tuple[PairGroup, ...], "Examples with their text by group of activation"]
    dfa_maximum: Annotated[float, "Largest |DFA| of the chosen head, or of all, over the stored examples"]
    sae: Annotated[SaeRecord, "The layer's SAE"]
    similar: Annotated[tuple[SimilarFeature, ...], "Stored features with the most similar decoder rows"]
    figures: Annotated[ExampleFigures, "What the stored examples have in common through the head"]
    n_layers: Annotated[int, "Layers of the model"]
    previous: Annotated[FeatureRef | None, "The stored feature of the layer before this one"]
    next: Annotated[FeatureRef | None, "The stored feature of the layer after this one"]
    annotation: Annotated[NotesPanel | None, "Labels and notes; null where nobody annotates", HTML_ONLY] = (
        None
    )
    citations: Annotated[
        Citations | None,
        "The viewer's citations in their record of the head; null if they may not write",
        HTML_ONLY,
    ] = None


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
