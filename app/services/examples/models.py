"""Parts that pages share: frozen dataclasses, every field annotated with its help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from app.domain.documents import Document
from app.domain.numbers import FeatureNumbers, HeadPartNumbers
from app.domain.refs import FeatureRef
from app.domain.tokens import TokenView
from app.services.reading.fields import HTML_ONLY

Align = Literal["prefix", "token"]
DOCUMENT_HELP = "The document of the corpus that the text is from; null in older runs"


@dataclass(frozen=True)
class RunSummary:
    fingerprint: Annotated[
        str, "Identifies everything the numbers depend on: model, SAEs, corpus and settings"
    ]
    model_name: Annotated[str, "The language model, as it was asked for"]
    model_revision: Annotated[str, "Its revision, or a checksum of its weights"]
    corpus: Annotated[str, "The text the run read; of many data sets, the first"]
    n_tokens: Annotated[int, "Tokens counted: beginning-of-sequence tokens and padding are not"]
    n_sequences: Annotated[int, "Sequences of context_size tokens"]
    context_size: Annotated[int, "Tokens in a sequence, the beginning-of-sequence token included"]
    dtype: Annotated[str, "Number format of the forward pass"]
    tolerance: Annotated[float, "Largest residual of a DFA sum that counts as rounding in this number format"]
    checks: Annotated[
        str | None,
        "How far model and DFA identity are from plain transformers on a few tokens; null in older runs",
    ] = None
    datasets: Annotated[
        tuple[str, ...],
        "The data sets the text was made of, in the order they were named; none in older runs",
    ] = ()
    withheld: Annotated[
        dict[str, str], "Layers (L5) of which no logit effects are given, each with the reason in words"
    ] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class ShownToken:
    token_id: Annotated[int, "Id in the model's vocabulary"]
    text: Annotated[str, "The token, with bytes that are no text alone as hex in angle quotes"]
    view: Annotated[TokenView, "How the token is drawn", HTML_ONLY]


@dataclass(frozen=True)
class TokenLogit(ShownToken):
    logit: Annotated[
        float, "What a unit of activation adds to the token's logit, centred over the vocabulary"
    ]


@dataclass(frozen=True)
class Cell(ShownToken):
    value: Annotated[
        float | None, "DFA (reads) or activation (fires) at the token; null where it is not stored"
    ]
    matched: Annotated[bool, "Whether the token is part of the matched prefix"]


@dataclass(frozen=True)
class TextWindow:
    """A stretch of text around an alignment point, the anchor, at which all windows of a column line up."""

    before: Annotated[tuple[Cell, ...], "Tokens up to the anchor"]
    after: Annotated[tuple[Cell, ...], "Tokens from the anchor on"]
    source_before: Annotated[bool, "Whether the source is the last token before the anchor", HTML_ONLY] = (
        False
    )


@dataclass(frozen=True)
class Example:
    group: Annotated[str, "`top`, or the interval of activation the example was sampled from"]
    sequence: Annotated[int, "Sequence of the corpus as tokenised, from 0"]
    position: Annotated[int, "Position of the firing token, the beginning-of-sequence token being 0"]
    activation: Annotated[float, "The feature's activation"]
    pre_activation: Annotated[float, "The activation before the activation function, from the encode path"]
    head_contribution: Annotated[float, "What the head, or all of them, add to the pre-activation"]
    head_share: Annotated[float | None, "head_contribution over pre_activation; null where that is 0"]
    source_position: Annotated[int | None, "The token with the largest DFA; null where there is none"]
    source_dfa: Annotated[float | None, "The DFA of that token through the head or all heads"]
    prefix_length: Annotated[
        int, "Tokens before the source equal to the tokens up to the firing one, exactly"
    ]
    prefix_length_fuzzy: Annotated[int, "The same up to a leading space and letter case"]
    residual: Annotated[float, "|sum of DFA over heads and sources + bias - pre_activation| / sum of |DFA|"]
    n_alike: Annotated[
        int | None,
        "Places of the corpus with this text, or with one of the group's pool that is alike to it; null in older runs",
    ] = None


@dataclass(frozen=True)
class Pair:
    example: Annotated[Example, "The example's numbers"]
    reads: Annotated[
        TextWindow, "Text around the source token; the source is the first token after the anchor"
    ]
    fires: Annotated[
        TextWindow, "Text around the firing token; the firing token is the last before the anchor"
    ]
    document: Annotated[Document | None, DOCUMENT_HELP] = None


@dataclass(frozen=True)
class ActivationGroup:
    name: Annotated[str, "`top` or `interval 1` (strongest) to `interval 5`"]
    lower: Annotated[float, "Smallest activation of the group"]
    upper: Annotated[float, "Largest activation of the group"]
    n_tokens: Annotated[int, "Tokens of the corpus in the group"]
    share_of_active: Annotated[float, "n_tokens over the feature's active tokens"]
    n_examples: Annotated[
        int, "Examples stored: the strongest, or a uniform sample of an interval; no two alike"
    ]
    n_pool: Annotated[int, "Different texts they were picked from; 0 in runs that show alike examples"] = 0
    no_more: Annotated[bool, "Whether all other texts of the pool are alike to one of the examples"] = False


@dataclass(frozen=True)
class PairGroup:
    group: Annotated[ActivationGroup, "The group"]
    pairs: Annotated[tuple[Pair, ...], "Its examples with their text"]


@dataclass(frozen=True)
class FveValues:
    covariance_share: Annotated[float | None, "Cov(c_h, p) / Var(p); sums to 1 over heads"]
    residual: Annotated[float | None, "1 - Var(p - c_h) / Var(p)"]
    r_squared: Annotated[float | None, "Squared correlation of c_h and p"]


@dataclass(frozen=True)
class Fve:
    """Fraction of the pre-activation's variance that one head explains, over two sets of tokens."""

    active: Annotated[FveValues | None, "Over the feature's active tokens; null for fewer than two"]
    all: Annotated[FveValues | None, "Over all counted tokens; null where the SAE scales its input by token"]


@dataclass(frozen=True)
class Bins:
    edges: Annotated[tuple[float, ...], "Edges of the bins, one more than counts"]
    counts: Annotated[tuple[int, ...], "Counts between consecutive edges"]


@dataclass(frozen=True)
class FeatureThroughHead(FeatureNumbers, HeadPartNumbers[float]):
    """One feature, seen through one head."""

    feature: Annotated[FeatureRef, "The feature"]
    rank: Annotated[int, "Place in this ranking of the head, from 1"]
    other_rank: Annotated[int, "Place in the other ranking of the head"]
    fve: Annotated[Fve, "Fraction of variance explained by this head"]
    promoted: Annotated[tuple[TokenLogit, ...], "Tokens the whole feature promotes"]
    suppressed: Annotated[tuple[TokenLogit, ...], "Tokens the whole feature suppresses"]
    head_promoted: Annotated[
        tuple[TokenLogit, ...], "Tokens promoted by this head's slice of the feature alone"
    ]
    head_suppressed: Annotated[tuple[TokenLogit, ...], "Tokens suppressed by this head's slice alone"]
    evidence: Annotated[
        dict[str, float], "Share of the top examples that show each behaviour through this head"
    ]
    evidence_counts: Annotated[dict[str, int], "The same as counts"]
    evidence_n: Annotated[int, "Top examples counted"]
    examples: Annotated[tuple[Example, ...], "The stored examples, strongest first, then by interval"]
    groups: Annotated[tuple[ActivationGroup, ...], "The groups of activation the examples come from"]
    shares_by_head: Annotated[tuple[float, ...], "Decoder weight share of every head of the layer"]
    fve_by_head: Annotated[tuple[float | None, ...], "FVE (covariance share, active tokens) of every head"]
    activation_histogram: Annotated[Bins, "Activations over active tokens"]
    dfa_maximum: Annotated[
        float, "Largest |DFA| of this head over the stored examples: full colour on the page"
    ]
    strongest: Annotated[
        Pair | None, "The strongest example with its text; null for a feature without examples"
    ]
    opened: Annotated[
        PairGroup | None, "The group of examples shown in full, where the row is open", HTML_ONLY
    ]


@dataclass(frozen=True)
class HeadFinding:
    """The finding of one experiment about one head."""

    id: Annotated[str, "The experiment"]
    name: Annotated[str, "Which experiment"]
    finding: Annotated[str, "What it found of this head, in a sentence"]
