"""Page dataclasses of the annotations to publish: one entry per head, with the numbers and texts that it rests on."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.roles import Abstraction
from app.domain.annotations.tallies import LeftOut, Tally
from app.domain.documents import Document
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import DOCUMENT_HELP, RunSummary, TokenLogit
from app.services.sheet.models import LayerLine


@dataclass(frozen=True)
class EntryGroup:
    """One group of a head's top features."""

    name: Annotated[str, "Its name"]
    count: Annotated[int, "How many of the top features, or examples, are in it"]
    abstraction: Annotated[Abstraction | None, "Its level of abstraction; null where none is given"]


@dataclass(frozen=True)
class EntryFeature:
    """One of the top features from which the type follows."""

    feature: Annotated[FeatureRef, "The feature"]
    rank: Annotated[int, "Its place among them, from 1"]
    group: Annotated[str | None, "Its group; null where it is unclear or not labelled"]
    unclear: Annotated[bool, "Whether it is marked as unclear"]
    share: Annotated[
        float | None, "Share of its decoder row in the head's slice; null where it is not stored"
    ]
    fve: Annotated[float | None, "Fraction of its variance that the head explains, over active tokens"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]


@dataclass(frozen=True)
class GroupExample:
    """An example of one group as text, the token between angle marks."""

    group: Annotated[str, "The group"]
    feature: Annotated[
        FeatureRef | None,
        "A feature of the group: one that was cited, or the strongest; null where the head has no features",
    ]
    sequence: Annotated[int, "Sequence of the corpus"]
    position: Annotated[int, "Position of the firing token; without features, of the token that attends"]
    fires: Annotated[str, "The text around that token"]
    reads: Annotated[str, "The text around the head's strongest source; empty where it has none"]
    document: Annotated[Document | None, DOCUMENT_HELP] = None


@dataclass(frozen=True)
class HeadEntry:
    """The entry of one head: the consensus, or the record of the chosen annotator."""

    head: Annotated[HeadRef, "The head"]
    annotator: Annotated[str, "Whose record it is"]
    head_type: Annotated[HeadType | None, "The head type; null where nothing is labelled"]
    override_reason: Annotated[str, "Reason for a type that does not follow from the groups; else empty"]
    n_features: Annotated[int, "Top features counted"]
    n_unclear: Annotated[int, "Top features marked as unclear"]
    n_open: Annotated[int, "Top features without a label"]
    roles: Annotated[tuple[str, ...], "Its roles"]
    groups: Annotated[tuple[EntryGroup, ...], "Groups of the top features, largest first"]
    abstraction: Annotated[float | None, "Mean level, token 1 to context 4; null where no group has one"]
    new_groups: Annotated[tuple[str, ...], "Groups that no earlier head of these entries has"]
    surprising: Annotated[bool, "Whether a grouping surprised the annotator"]
    confidence: Annotated[int | None, "How sure the annotator is, 1 to 5"]
    notes: Annotated[str, "Notes"]
    features: Annotated[tuple[EntryFeature, ...], "The top features, strongest first"]
    examples: Annotated[tuple[GroupExample, ...], "One example of each group"]


@dataclass(frozen=True)
class PublicationPage:
    """One entry per head: the consensus or a submitted record."""

    model: Annotated[str, "The atlas"]
    run: Annotated[RunSummary, "The run that is live"]
    by: Annotated[
        str | None, "Annotator whose records are used for heads without a consensus; null without any"
    ]
    annotators: Annotated[tuple[str, ...], "Annotators whose records could be used"]
    n_entries: Annotated[int, "Heads that are published"]
    n_consensus: Annotated[int, "Heads whose entry is the consensus"]
    n_heads: Annotated[int, "Heads of the model"]
    page: Annotated[int, "Which part of the entries, from 1"]
    n_pages: Annotated[int, "Number of parts"]
    entries: Annotated[tuple[HeadEntry, ...], "The entries of this part"]
    tally: Annotated[Tally, "Heads by type, over all parts"]
    left_out: Annotated[tuple[LeftOut, ...], "Heads that it leaves out, and how much of them is open"]
    layers: Annotated[tuple[LayerLine, ...], "Layers from 0 up, over all parts"]
