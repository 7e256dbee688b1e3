"""Page dataclasses of what a head attends to: every field with its help, for HTML and JSON alike."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.attention import N_SHOWN_EXAMPLES, PICTURE_LEVELS
from app.domain.documents import Document
from app.domain.refs import ExampleRef, HeadRef
from app.services.examples.models import DOCUMENT_HELP, ActivationGroup, RunSummary, ShownToken, TextWindow
from app.services.reading.fields import HTML_ONLY


@dataclass(frozen=True)
class SourceWeight:
    position: Annotated[int, "Position of the source token"]
    weight: Annotated[float, "Attention that the destination gives it"]


@dataclass(frozen=True)
class AttentionExample:
    group: Annotated[str, "`top`, or the interval of weight the example was sampled from"]
    sequence: Annotated[int, "Sequence of the corpus as tokenised, from 0"]
    position: Annotated[int, "Position of the destination, the beginning-of-sequence token being 0"]
    sources: Annotated[tuple[SourceWeight, ...], "The sources it attends to most, sinks left out"]
    rest: Annotated[float, "Attention on all other sources that are not sinks"]
    sink: Annotated[float, "Attention on sinks"]
    n_alike: Annotated[
        int | None,
        "Places of the corpus with this text, or with one of the group's pool that is alike to it; null in older runs",
    ] = None

    def ref(self, head: HeadRef) -> ExampleRef:
        """The example as one of this head."""
        return ExampleRef(head.layer, head.head, self.sequence, self.position)


@dataclass(frozen=True)
class AttentionPair:
    number: Annotated[int, "Place among the head's stored examples, from 0"]
    example: Annotated[AttentionExample, "The example's numbers"]
    reads: Annotated[TextWindow, "Text around the strongest source, the first token after the anchor"]
    attends: Annotated[TextWindow, "Text around the destination, the last token before the anchor"]
    prefix_length: Annotated[
        int, "Tokens before the source equal to the tokens up to the destination, exactly"
    ]
    has_picture: Annotated[bool, "Whether the pattern before it is stored"]
    document: Annotated[Document | None, DOCUMENT_HELP] = None


@dataclass(frozen=True)
class TokenShare(ShownToken):
    share: Annotated[float, "Share of the head's attention on what is no sink"]
    base_rate: Annotated[float, "Share of the corpus that is this token"]


@dataclass(frozen=True)
class SinkToken(ShownToken):
    n: Annotated[int, "Sequences and positions where the token is a sink of the head"]
    share: Annotated[float, "Share of all of the head's attention"]


@dataclass(frozen=True)
class DistanceShare:
    lower: Annotated[int, "Tokens back, from"]
    upper: Annotated[int, "Tokens back, up to and including"]
    share: Annotated[float, "Share of the head's attention on what is no sink"]


@dataclass(frozen=True)
class AttentionPicture:
    """The attention pattern up to one example's destination, which is its last row and column."""

    number: Annotated[int, "The example"]
    levels: Annotated[
        tuple[tuple[int, ...], ...], f"Weights by destination and source; {PICTURE_LEVELS} is a weight of 1"
    ]
    destinations: Annotated[tuple[ShownToken, ...], "Tokens of the rows"]
    sources: Annotated[tuple[ShownToken, ...], "Tokens of the columns"]
    position: Annotated[int, "Position of the destination"]
    document: Annotated[Document | None, DOCUMENT_HELP] = None


@dataclass(frozen=True)
class AttentionEvidence:
    """What a head attends to over the corpus, without its sinks, which are listed separately."""

    n_destinations: Annotated[int, "Tokens counted: beginning-of-sequence tokens and padding are not"]
    sink_share: Annotated[float, "Share of the head's attention on sinks"]
    first_sink_share: Annotated[float, "The part of it on position 0"]
    sink_attention: Annotated[
        float, "A source is a sink where later destinations of its text give it more than this on average"
    ]
    fewest_destinations: Annotated[
        int, "Later destinations that a sink needs, and earlier positions that an example needs"
    ]
    sinks: Annotated[tuple[SinkToken, ...], "Tokens that are sinks, most attended first"]
    distances: Annotated[tuple[DistanceShare, ...], "How far back it attends"]
    read: Annotated[tuple[TokenShare, ...], "Tokens it attends to most beyond their base rate"]
    read_from: Annotated[tuple[TokenShare, ...], "Tokens it attends from most beyond their base rate"]
    groups: Annotated[tuple[ActivationGroup, ...], "Strongest examples, then intervals of the largest weight"]
    examples: Annotated[tuple[AttentionExample, ...], "The stored examples, in the order of the groups"]
    group: Annotated[int, "Which group is shown in full", HTML_ONLY]
    pairs: Annotated[tuple[AttentionPair, ...], "Its examples with their text", HTML_ONLY]
    largest: Annotated[float, "Largest weight of the stored examples: full colour on the page", HTML_ONLY]
    picture: Annotated[
        AttentionPicture | None, "The pattern of the chosen example; null where none is stored"
    ]

    def shown(self, head: HeadRef) -> tuple[ExampleRef, ...]:
        """The examples with their text."""
        return tuple(pair.example.ref(head) for pair in self.pairs)

    def strongest(self, head: HeadRef) -> tuple[ExampleRef, ...]:
        """The examples that an annotator labels: the first of the strongest group."""
        return tuple(each.ref(head) for each in self.examples if each.group == "top")[:N_SHOWN_EXAMPLES]


@dataclass(frozen=True)
class AttentionPage:
    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    evidence: Annotated[
        AttentionEvidence | None, "What the head attends to; null in runs from before this was kept"
    ]
    previous: Annotated[HeadRef | None, "The head before this one"]
    next: Annotated[HeadRef | None, "The head after this one"]
