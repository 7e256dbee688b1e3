"""Annotations of the atlas page: one annotator's labels in the cells, everyone's progress in the totals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.layer_table import LayerRow, NotableHead
from app.domain.records import HeadRecord
from app.domain.refs import HeadRef
from app.services.atlas.annotation_models import (
    AtlasNotes,
    Completion,
    FamilyPart,
    GroupPart,
    HeadNotes,
    LayerNotes,
    NotableLine,
    StrongScore,
    TypeRow,
)
from app.services.reading.context import AtlasContext, layers_to_annotate
from app.services.reading.scores import CONCENTRATION, strongest_telling
from app.services.reading.visibility import NO_VIEWER
from app.services.rollups.agreement import Agreement, agreement
from app.services.rollups.overview import Overview, RecordSummary, summarise_atlas
from app.services.rollups.rollup import submitted_heads
from app.store.annotators import CONSENSUS

N_UNREAD = 8
# What counts as a strong score: half of the attention, or near it.
STRONG = 0.3
N_GROUPS, N_NOTABLE = 12, 6


@dataclass(frozen=True)
class AtlasAnnotations:
    """Annotations of the atlas, its layers and its heads, and who has submitted a record of each head."""

    atlas: AtlasNotes
    layers: dict[int, LayerNotes]
    heads: dict[HeadRef, HeadNotes]
    done: dict[HeadRef, Completion]


def read_notes(context: AtlasContext, by: str | None) -> AtlasAnnotations:
    """The annotations that the viewer may see, with the labels of `by`. Makes no query for a page without a viewer."""
    if context.viewer == NO_VIEWER:
        return AtlasAnnotations(_without_annotations(context), {}, {}, {})
    overview = summarise_atlas(context, by)
    people = {name: heads for name, heads in submitted_heads(context.records).items() if name != CONSENSUS}
    done = _completion_by_head(overview)
    return AtlasAnnotations(
        atlas=_atlas_notes(context, overview, agreement(people, n_resamples=0), done),
        layers={row.layer: _layer_notes(row) for row in overview.layers if row.n_heads},
        heads={ref: head_notes(summary) for ref, summary in overview.heads.items()},
        done=done,
    )


def head_notes(summary: RecordSummary) -> HeadNotes:
    return HeadNotes(
        annotator=summary.annotator,
        status=summary.status,
        head_type=summary.head_type,
        provisional=summary.provisional,
        roles=summary.roles,
        groups=tuple(GroupPart(group.name, group.family, group.count) for group in summary.groups),
        n_features=summary.n_features,
    )


def _completion_by_head(overview: Overview) -> dict[HeadRef, Completion]:
    mine, others = overview.progress.mine, overview.progress.others
    done: dict[HeadRef, Completion] = dict.fromkeys(mine - others, "you")
    return {**done, **dict.fromkeys(others - mine, "others"), **dict.fromkeys(overview.progress.both, "both")}


def _atlas_notes(
    context: AtlasContext, overview: Overview, agreed: Agreement, done: Mapping[HeadRef, Completion]
) -> AtlasNotes:
    layers = set(layers_to_annotate(context))
    counted = [how for ref, how in done.items() if ref.layer in layers]
    summaries = overview.heads.values()
    published = overview.published
    may_write = context.viewer.may_write
    return AtlasNotes(
        by=overview.by,
        by_viewer=overview.by == context.viewer.name,
        annotators=overview.annotators,
        roles=tuple(sorted({role for head in summaries for role in head.roles})),
        can_annotate=may_write,
        n_heads=overview.progress.n_heads,
        n_you=counted.count("you"),
        n_others=counted.count("others"),
        n_both=counted.count("both"),
        next=overview.progress.next if may_write else None,
        order=context.viewer.order,
        again=context.viewer.again,
        types=tuple(
            TypeRow(row.head_type, row.count, row.fraction, _published_count(published, row.head_type))
            for row in overview.tally.rows
        ),
        n_typed=overview.tally.total,
        n_provisional=overview.tally.n_provisional,
        left_out=overview.left_out,
        novelty=overview.novelty,
        published_novel=published.n_surprising if published else None,
        agreement=agreed.head_type.value,
        role_overlap=agreed.roles.value,
        n_compared=agreed.head_type.n_heads,
        unread=_unread(context.heads, done, layers),
    )


def _published_count(published: object, head_type: HeadType) -> int | None:
    by_type: Mapping[HeadType, int] = getattr(published, "by_type", {})
    return by_type.get(head_type)


def _unread(
    heads: Iterable[HeadRecord], done: Mapping[HeadRef, Completion], layers: set[int]
) -> tuple[StrongScore, ...]:
    """Heads without a submitted record: first those strong in one of TELLING_SCORES, then by concentration."""
    open_heads = [head for head in heads if head.ref.layer in layers and head.ref not in done]
    strong = strong_scores(open_heads)
    rest = [
        StrongScore(head.ref, CONCENTRATION, head.concentration)
        for head in open_heads
        if head.concentration is not None and not any(unread.head == head.ref for unread in strong)
    ]
    ordered = (sorted(part, key=lambda unread: (-unread.value, unread.head)) for part in (strong, rest))
    return tuple(unread for part in ordered for unread in part)[:N_UNREAD]


def strong_scores(heads: Iterable[HeadRecord]) -> list[StrongScore]:
    """Heads that have a strong telling score, strongest first."""
    scores = [best for head in heads if (best := strongest_of(head)) and best.value >= STRONG]
    return sorted(scores, key=lambda best: (-best.value, best.head))


def strongest_of(head: HeadRecord) -> StrongScore | None:
    if (best := strongest_telling(head)) is None:
        return None
    value, name = best
    return StrongScore(head.ref, name, value)


def _layer_notes(row: LayerRow) -> LayerNotes:
    return LayerNotes(
        n_annotated=row.n_heads,
        families=tuple(FamilyPart(family, count) for family, count in row.families),
        groups=tuple(name for name, _ in row.groups[:N_GROUPS]),
        notable=tuple(_notable(head) for head in _most_uniform_first(row.notable)[:N_NOTABLE]),
    )


def _most_uniform_first(notable: Iterable[NotableHead]) -> list[NotableHead]:
    """Heads with all features in one group first, then by the size of the largest group."""
    return sorted(notable, key=lambda head: (not head.all_alike, -head.n_in_group, head.head))


def _notable(head: NotableHead) -> NotableLine:
    words = ", ".join(head.roles) or head.group
    return NotableLine(head.head, head.all_alike, words, head.n_in_group, head.n_features)


def _without_annotations(context: AtlasContext) -> AtlasNotes:
    layers = set(layers_to_annotate(context))
    return AtlasNotes(
        by=None,
        by_viewer=False,
        annotators=(),
        roles=(),
        can_annotate=False,
        n_heads=len(layers) * context.run.record.model.n_heads,
        n_you=0,
        n_others=0,
        n_both=0,
        next=None,
        order="layer",
        again=False,
        types=(),
        n_typed=0,
        n_provisional=0,
        left_out=(),
        novelty=(),
        published_novel=None,
        agreement=None,
        role_overlap=None,
        n_compared=0,
        unread=_unread(context.heads, {}, layers),
    )
