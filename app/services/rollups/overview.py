"""An overview of an atlas's annotations for all pages: progress, head types, layers, novelty."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.layer_table import LayerRow
from app.domain.annotations.records import HeadAnnotation, Revision, Status
from app.domain.annotations.roles import Family
from app.domain.annotations.tallies import LeftOut, Tally
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import Viewer
from app.services.rollups.published import published_for, visible_published
from app.services.rollups.rollup import RollUp, add_up, submitted_heads
from app.services.rollups.work_order import in_work_order
from app.store.annotators import CONSENSUS


@dataclass(frozen=True)
class GroupCount:
    """One group among a head's top features. An empty name stands for unclear and unlabelled features."""

    name: Annotated[str, "Its name; empty for features that are unclear or not labelled"]
    family: Annotated[Family, "Its family, which gives the colour"]
    count: Annotated[int, "How many of the top features are in it"]


@dataclass(frozen=True)
class RecordSummary:
    """A summary of one annotator's record of a head, for a cell of the grid or a row of a table.

    groups: largest first, the unclear and unlabelled features last; their counts add up to n_features, the
    top k. novel: groups that no earlier head of the same annotator has (submitted heads only).
    """

    head: HeadRef
    annotator: str
    status: Status
    head_type: HeadType | None
    provisional: bool
    overridden: bool
    roles: tuple[str, ...]
    groups: tuple[GroupCount, ...]
    n_features: int
    surprising: bool
    novel: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """Heads with a submitted record: by the viewer and by anyone else, as far as the viewer may know.

    n_heads: heads with features to annotate. next: the first of them, in the viewer's order of work, that the viewer
    has neither submitted nor skipped.
    """

    n_heads: int
    mine: frozenset[HeadRef]
    others: frozenset[HeadRef]
    next: HeadRef | None

    @property
    def both(self) -> frozenset[HeadRef]:
        return self.mine & self.others


@dataclass(frozen=True)
class PublishedTotals:
    """The totals that the published reference prints, for heads of the whole model."""

    source: Annotated[str, "The source"]
    n_heads: Annotated[int, "Heads that it speaks of"]
    n_surprising: Annotated[int, "Heads that it calls surprising"]
    by_type: Annotated[dict[HeadType, int], "Heads of each type that it counts"]


@dataclass(frozen=True)
class Overview:
    """Everyone's progress and one annotator's labels, as far as the viewer may see them.

    by: whose labels these are; None if there are no submitted records. annotators: whose labels could be
    shown. novel: heads with groups that no earlier head has; novelty: the cumulative number of them up to
    each layer. published: None without a published reference, and for a blind viewer who cannot see all of
    it.
    """

    by: str | None
    annotators: tuple[str, ...]
    progress: Progress
    heads: dict[HeadRef, RecordSummary]
    tally: Tally
    left_out: tuple[LeftOut, ...]
    layers: tuple[LayerRow, ...]
    novel: dict[HeadRef, tuple[str, ...]]
    novelty: tuple[int, ...]
    n_surprising: int
    published: PublishedTotals | None


def summarise_atlas(context: AtlasContext, by: str | None = None) -> Overview:
    """Summary of one annotator's labels (`by`; default: consensus, then viewer, then first by name).

    A name without visible records gives empty tables.
    """
    records = context.records
    submitted = submitted_heads(records)
    chosen = by if by is not None else default_annotator(submitted, context.viewer)
    model = context.run.record.model
    added = add_up(chosen or "", submitted.get(chosen or "", {}), model.n_layers, model.n_heads)
    return Overview(
        by=chosen,
        annotators=tuple(sorted(submitted)),
        progress=_progress(context, submitted),
        heads=summaries(records, added),
        tally=added.tally,
        left_out=added.left_out,
        layers=added.layers,
        novel=added.novel,
        novelty=novelty_by_layer(added.novel, model.n_layers),
        n_surprising=added.n_surprising,
        published=published_totals(context),
    )


def default_annotator(submitted: Mapping[str, object], viewer: Viewer) -> str | None:
    """The annotator whose labels are shown by default: the consensus, the viewer, or the first by name."""
    candidates = (CONSENSUS, viewer.name, *sorted(submitted))
    return next((name for name in candidates if name in submitted), None)


def summaries(records: Sequence[Revision], added: RollUp) -> dict[HeadRef, RecordSummary]:
    """Summaries of all records of the roll-up's annotator, by head, including unfinished ones."""
    return {
        record.subject.ref: summarise_record(record, added.novel.get(record.subject.ref, ()))
        for record in records
        if record.annotator == added.annotator and isinstance(record.subject.ref, HeadRef)
    }


def summarise_record(record: Revision, novel: tuple[str, ...]) -> RecordSummary:
    """A summary of one head's record. Raises TypeError for a feature's record."""
    content, ref = record.head, record.subject.ref
    if not isinstance(ref, HeadRef):
        raise TypeError(f"{ref} is not a head")
    return RecordSummary(
        head=ref,
        annotator=record.annotator,
        status=record.status,
        head_type=content.head_type,
        provisional=content.provisional,
        overridden=content.override is not None,
        roles=content.roles,
        groups=group_counts(content),
        n_features=content.computed.n_features,
        surprising=content.surprising,
        novel=novel,
    )


def group_counts(content: HeadAnnotation) -> tuple[GroupCount, ...]:
    """The groups of the top k features, with the number of features in each."""
    families: dict[str, Family] = {group.name: group.family for group in content.groups}
    computed = content.computed
    groups = [GroupCount(name, families[name], count) for name, count in computed.groups]
    if rest := computed.n_unclear + computed.n_unlabelled:
        groups.append(GroupCount("", "unclear", rest))
    return tuple(groups)


def novelty_by_layer(novel: Mapping[HeadRef, object], n_layers: int) -> tuple[int, ...]:
    """The cumulative number of novel heads up to and including each layer."""
    per_layer = [sum(head.layer == layer for head in novel) for layer in range(n_layers)]
    return tuple(accumulate(per_layer))


def published_totals(context: AtlasContext) -> PublishedTotals | None:
    """The published totals; None for a blind viewer while a head is hidden, since totals would reveal it."""
    published = published_for(context.run.record.model)
    if published is None or len(visible_published(context)) < len(published.heads):
        return None
    totals = published.totals
    types: tuple[HeadType, ...] = ("monosemantic", "minor_exceptions", "bisemantic")
    return PublishedTotals(
        published.source, totals["n_heads"], totals["surprising"], {name: totals[name] for name in types}
    )


def _progress(context: AtlasContext, submitted: Mapping[str, Mapping[HeadRef, HeadAnnotation]]) -> Progress:
    viewer, heads = context.viewer, in_work_order(context)
    done = {
        record.subject.ref
        for record in context.records
        if record.annotator == viewer.name and record.status in ("submitted", "skipped")
    }
    others = (theirs for name, theirs in submitted.items() if name not in (viewer.name, CONSENSUS))
    return Progress(
        n_heads=len(heads),
        mine=frozenset(submitted.get(viewer.name, {})),
        others=frozenset(head for theirs in others for head in theirs),
        next=next((head for head in heads if head not in done), None),
    )
