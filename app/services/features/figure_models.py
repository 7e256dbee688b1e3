"""Further parts of a feature's page: one example in full, figures over all examples, similar features."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.citation_models import Citations
from app.services.examples.models import Align, Pair, RunSummary, TokenLogit
from app.services.reading.fields import HTML_ONLY

# Upper edges of the bins of distances; the last bin is open.
DISTANCES = (1, 2, 4, 8, 16, 32, 64, 128)
LONGEST_PREFIX = 6  # and more


@dataclass(frozen=True)
class WholeExample:
    """One example of a feature with the whole sequence that the model read."""

    model: Annotated[str, "The atlas"]
    feature: Annotated[FeatureRef, "The feature"]
    head: Annotated[HeadRef | None, "The head whose DFA is shown; null for the sum over heads"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    align: Annotated[Align, "What stands at the anchor: the end of the matched prefix, or the tokens"]
    max_activation: Annotated[float, "Largest activation of the feature"]
    dfa_maximum: Annotated[float, "Largest |DFA| of the head, or of all, over the stored examples"]
    whole: Annotated[Pair, "The example"]
    citations: Annotated[
        Citations | None,
        "The viewer's citations of the feature in their record of the head; null if they may not write",
        HTML_ONLY,
    ] = None


@dataclass(frozen=True)
class ExampleFigures:
    """Figures over the stored examples, in which strong activations are over-represented."""

    n: Annotated[int, "Examples with a source token"]
    prefix_lengths: Annotated[
        tuple[int, ...], "How many have a matched prefix of 0, 1, 2 ... tokens; the last, or more"
    ]
    distances: Annotated[tuple[int, ...], "How many read from at most 1, 2, 4, 8 ... tokens back"]
    contributions: Annotated[
        tuple[tuple[float, ...], ...],
        "What each head adds to the pre-activation of the strongest ten examples",
    ]


@dataclass(frozen=True)
class SimilarFeature:
    """Another stored feature of the layer, with its decoder row's cosine similarity."""

    feature: Annotated[FeatureRef, "The feature"]
    cosine: Annotated[float, "Cosine of the decoder rows"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]
