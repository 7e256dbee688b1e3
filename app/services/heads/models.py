"""Page dataclasses of head pages: every field with its help, for HTML and JSON alike."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.numbers import HeadNumbers
from app.domain.records import Ranking, SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.services.annotations.models import Panel
from app.services.examples.models import (
    Align,
    FeatureThroughHead,
    HeadFinding,
    RunSummary,
)
from app.services.heads.attention_models import AttentionEvidence
from app.services.heads.summary import HeadSummary
from app.services.reading.fields import HTML_ONLY
from app.services.reading.scores import ScoreRank


@dataclass(frozen=True)
class HeadPage(HeadNumbers):
    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    summary: Annotated[HeadSummary, "What these numbers say, in one sentence by rule"]
    scores: Annotated[dict[str, float], "The head's scores by name"]
    rank: Annotated[Ranking, "What the features are ranked by"]
    align: Annotated[
        Align, "What stands at the anchor: the end of the matched prefix, or the tokens", HTML_ONLY
    ]
    open: Annotated[FeatureRef | None, "The row that was asked to be open; null for the strongest", HTML_ONLY]
    open_group: Annotated[int, "Which of its groups of activation, or of a head without features", HTML_ONLY]
    example: Annotated[int, "Of such a head, the example whose pattern is drawn", HTML_ONLY]
    features: Annotated[tuple[FeatureThroughHead, ...], "The head's top features, best first"]
    k: Annotated[int, "How many features were asked for"]
    previous: Annotated[HeadRef | None, "The head before this one"]
    next: Annotated[HeadRef | None, "The head after this one"]
    n_layers: Annotated[int, "Layers of the model"]
    n_heads: Annotated[int, "Heads in a layer"]
    sae: Annotated[SaeRecord | None, "The layer's SAE; null where the atlas has none"]
    standings: Annotated[tuple[ScoreRank, ...], "Each score among all heads", HTML_ONLY]
    experiments: Annotated[tuple[HeadFinding, ...], "What experiments found of the head, newest first"] = ()
    has_attention: Annotated[bool, "Whether the run keeps what heads attend to, at /attention.json"] = False
    attention: Annotated[
        AttentionEvidence | None,
        "What it attends to, in place of the features of a layer without an SAE",
        HTML_ONLY,
    ] = None
    annotation: Annotated[Panel | None, "The form beside it; null where nobody annotates", HTML_ONLY] = None


@dataclass(frozen=True)
class HeadFeatureRow:
    """One row of a head's page, sent alone when the row is opened."""

    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    rank: Annotated[Ranking, "What the features are ranked by"]
    align: Annotated[
        Align, "What stands at the anchor: the end of the matched prefix, or the tokens", HTML_ONLY
    ]
    k: Annotated[int, "How many features were asked for"]
    row: Annotated[FeatureThroughHead, "The row"]
    annotation: Annotated[Panel | None, "The form of the page; null where nobody annotates", HTML_ONLY] = None
