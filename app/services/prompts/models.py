"""Page dataclasses of the prompt page, every field with its help."""

from dataclasses import dataclass
from typing import Annotated, Literal

from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import Pair, RunSummary, ShownToken, TokenLogit
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class PromptToken(ShownToken):
    position: Annotated[int, "Position, the beginning-of-sequence token being 0"]
    activation: Annotated[float | None, "The feature's activation; null without a feature"]
    head_contribution: Annotated[float | None, "What the head adds to the feature there"]


@dataclass(frozen=True)
class PromptSource(ShownToken):
    """A source token that the head attends to from the chosen token."""

    position: Annotated[int, "Position of the token"]
    attention: Annotated[float, "The head's attention from the chosen token to it"]
    dfa: Annotated[float | None, "What the head adds to the feature from it; null without a feature"]


@dataclass(frozen=True)
class PromptHead:
    """One head at the chosen destination token."""

    head: Annotated[HeadRef, "The head"]
    contribution: Annotated[float, "What it adds to the pre-activation"]
    dfa: Annotated[tuple[float, ...], "The same by source position; sums to the contribution"]
    pair: Annotated[Pair | None, "Its strongest source beside the chosen token, for the heads that add most"]


@dataclass(frozen=True)
class PromptFeature:
    """A feature that is active in the text."""

    feature: Annotated[FeatureRef, "The feature"]
    position: Annotated[int, "Where the head adds most to it"]
    activation: Annotated[float, "Its activation there"]
    head_contribution: Annotated[float, "What the head adds there"]
    stored: Annotated[bool, "Whether the atlas has a page of it"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes; none where it is not stored"]


@dataclass(frozen=True)
class PromptReading:
    """The model's activations on the text, seen through one head and one feature."""

    head: Annotated[HeadRef, "The head"]
    feature: Annotated[FeatureRef | None, "The feature; null where the layer has none to show"]
    stored: Annotated[bool, "Whether the atlas has a page of the feature"]
    dest: Annotated[int, "The chosen token, whose sources are shown"]
    tokens: Annotated[tuple[PromptToken, ...], "The text as the model reads it"]
    activation: Annotated[float | None, "The feature's activation at the chosen token"]
    pre_activation: Annotated[float | None, "Before the activation function, from the encode path"]
    head_contribution: Annotated[float | None, "What the head adds to it"]
    others_contribution: Annotated[float | None, "What the layer's other heads add to it"]
    bias: Annotated[float | None, "The part of it that no head adds"]
    residual: Annotated[
        float | None, "|sum of DFA over heads and sources + bias - pre_activation| / sum |DFA|"
    ]
    max_activation: Annotated[
        float, "Full colour of activations: the feature's maximum in the corpus or here"
    ]
    dfa_maximum: Annotated[float, "Full colour of DFA: the largest |DFA| of any head at the chosen token"]
    heads: Annotated[tuple[PromptHead, ...], "Every head of the layer at the chosen token"]
    sources: Annotated[tuple[PromptSource, ...], "The tokens that the head reads most there"]
    sources_rest: Annotated[float | None, "Sum of the head's DFA over all other tokens"]
    most_attended: Annotated[int, "The token that the head attends to most from the chosen one"]
    pattern: Annotated[
        tuple[tuple[float, ...], ...], "The head's attention: each token to itself and those before"
    ]
    active: Annotated[tuple[PromptFeature, ...], "Active features by what the head adds to them"]


PromptState = Literal["unavailable", "ready", "waiting", "answered", "failed"]


@dataclass(frozen=True)
class PromptPage:
    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run whose model and SAEs read the text"]
    state: Annotated[PromptState, "How far it is; ask again while it is `waiting`"]
    problem: Annotated[str | None, "Why there is no reading, in one sentence"]
    text: Annotated[str, "The text"]
    at: Annotated[str, "The head or feature that was asked for"]
    head: Annotated[HeadRef | None, "The head that was asked for"]
    feature: Annotated[FeatureRef | None, "The feature that was asked for"]
    dest: Annotated[int | None, "The token that was asked for"]
    ahead: Annotated[int, "Texts that the model reads first"]
    loading: Annotated[bool, "Whether the model has to be loaded first"]
    max_characters: Annotated[int, "Longest text"]
    max_tokens: Annotated[int, "Most tokens of a text: the run's context without BOS"]
    job_seconds: Annotated[float, "Seconds after which a reading is given up"]
    sae_layers: Annotated[tuple[int, ...], "Layers whose features can be chosen"]
    reading: Annotated[PromptReading | None, "The reading, once there is one"]
    examples: Annotated[tuple[str, ...], "Texts to begin with", HTML_ONLY]
