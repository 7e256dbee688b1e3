"""Annotations on the atlas page: a head's labels, a summary of each layer, and the progress."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.records import Status
from app.domain.annotations.roles import Family
from app.domain.annotations.tallies import LeftOut
from app.domain.records import SaeRecord
from app.domain.refs import FeatureRef, HeadRef
from app.services.examples.models import RunSummary, TokenLogit
from app.services.reading.scores import ScoreRank
from app.services.reading.visibility import WorkOrder

Colouring = Literal["score", "type", "groups", "progress"]
COLOURINGS: tuple[Colouring, ...] = get_args(Colouring)
Order = Literal["index", "value"]
# Who has submitted a record of a head, as far as the viewer may know.
Completion = Literal["nobody", "you", "others", "both"]
DONE: tuple[Completion, ...] = get_args(Completion)


@dataclass(frozen=True)
class GroupPart:
    """One group among the head's top features."""

    name: Annotated[str, "The group; empty for the unclear and the unlabelled"]
    family: Annotated[Family, "Its family"]
    count: Annotated[int, "Features in it"]


@dataclass(frozen=True)
class HeadNotes:
    """One annotator's record of a head."""

    annotator: Annotated[str, "Whose record it is"]
    status: Annotated[Status, "How far it is"]
    head_type: Annotated[HeadType | None, "The head type; null where nothing is labelled"]
    provisional: Annotated[bool, "Whether features without a label could still change the type"]
    roles: Annotated[tuple[str, ...], "Its roles"]
    groups: Annotated[
        tuple[GroupPart, ...], "Groups of its top features, largest first; they add up to n_features"
    ]
    n_features: Annotated[int, "Top features that the type is made of"]

    @property
    def counted_type(self) -> HeadType | None:
        """The head type as the tally counts it: of submitted records, once it is settled."""
        return self.head_type if self.status == "submitted" and not self.provisional else None


@dataclass(frozen=True)
class FamilyPart:
    family: Annotated[Family, "The family"]
    count: Annotated[int, "Labelled features of the layer in it"]


@dataclass(frozen=True)
class NotableLine:
    """A head that stands out in its layer."""

    head: Annotated[HeadRef, "The head"]
    all_alike: Annotated[bool, "Whether all its top features are in one group"]
    words: Annotated[str, "Its roles, or its largest group"]
    n_in_group: Annotated[int, "Features in its largest group"]
    n_features: Annotated[int, "Top features counted"]


@dataclass(frozen=True)
class LayerNotes:
    """What one annotator's labels say of a layer."""

    n_annotated: Annotated[int, "Heads with a submitted record"]
    families: Annotated[tuple[FamilyPart, ...], "Labelled features by family"]
    groups: Annotated[tuple[str, ...], "Its groups of features, largest first"]
    notable: Annotated[tuple[NotableLine, ...], "Heads that stand out"]


@dataclass(frozen=True)
class TypeRow:
    head_type: Annotated[HeadType, "The head type"]
    count: Annotated[int, "Heads of this type"]
    fraction: Annotated[float, "Of the heads with a settled type"]
    published: Annotated[int | None, "What the published reference counts; null without one"]


@dataclass(frozen=True)
class StrongScore:
    """A head with its largest score among induction, previous and duplicate token."""

    head: Annotated[HeadRef, "The head"]
    score: Annotated[str, "The score"]
    value: Annotated[float, "Its value"]


@dataclass(frozen=True)
class AtlasNotes:
    """The annotations of an atlas as far as the viewer may see them."""

    by: Annotated[str | None, "Whose labels the cells and tables show; null while nobody has submitted any"]
    by_viewer: Annotated[bool, "Whether these are the viewer's own"]
    annotators: Annotated[tuple[str, ...], "Whose labels can be shown"]
    roles: Annotated[tuple[str, ...], "Roles among the shown labels"]
    can_annotate: Annotated[bool, "Whether the viewer may annotate"]
    n_heads: Annotated[int, "Heads with features to annotate"]
    n_you: Annotated[int, "Heads that the viewer alone has submitted"]
    n_others: Annotated[int, "Heads that others alone have submitted"]
    n_both: Annotated[int, "Heads submitted by the viewer and by others"]
    next: Annotated[HeadRef | None, "The next head for the viewer to annotate"]
    order: Annotated[WorkOrder, "In which order the viewer is led through the heads"]
    again: Annotated[bool, "Whether a tenth of the viewer's submitted heads comes a second time"]
    types: Annotated[tuple[TypeRow, ...], "Head types of the shown labels"]
    n_typed: Annotated[int, "Heads with a settled type"]
    n_provisional: Annotated[int, "Heads whose type could still change"]
    left_out: Annotated[
        tuple[LeftOut, ...],
        "Submitted heads without a settled type, with the number of features still without a label",
    ]
    novelty: Annotated[tuple[int, ...], "Heads with a group no earlier head has, up to each layer"]
    published_novel: Annotated[int | None, "What the published reference counts of them; null without one"]
    agreement: Annotated[float | None, "Krippendorff's alpha of head types; null where undefined"]
    role_overlap: Annotated[float | None, "Mean overlap of roles; null where undefined"]
    n_compared: Annotated[int, "Heads with two settled types or more"]
    unread: Annotated[tuple[StrongScore, ...], "Heads without annotation whose score is high"]

    @property
    def n_done(self) -> int:
        """Heads that somebody has submitted."""
        return self.n_you + self.n_others + self.n_both

    @property
    def whose(self) -> str:
        """The owner of these labels, for the middle of a sentence."""
        return "you" if self.by_viewer else "the consensus" if self.by == "consensus" else self.by or ""


@dataclass(frozen=True)
class CardFeature:
    feature: Annotated[FeatureRef, "The feature"]
    decoder_weight_share: Annotated[float, "Share of its decoder row in the head's slice"]
    promoted: Annotated[tuple[TokenLogit, ...], "The first tokens it promotes"]


@dataclass(frozen=True)
class HeadCard:
    """A head at a glance, for the card beside its cell."""

    model: Annotated[str, "The atlas"]
    head: Annotated[HeadRef, "The head"]
    run: Annotated[RunSummary, "The run the numbers come from"]
    sae: Annotated[SaeRecord | None, "The layer's SAE; null where the atlas has none"]
    notes: Annotated[HeadNotes | None, "The labels that the atlas shows of it"]
    standings: Annotated[tuple[ScoreRank, ...], "Its leading scores among all heads"]
    features: Annotated[tuple[CardFeature, ...], "Its first features by decoder weight"]
