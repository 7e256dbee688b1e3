"""Annotation records of one head that the viewer may see, and what the annotation form derives from them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from app.domain.annotations.edits import redo_target, undo_target
from app.domain.annotations.names import normalised
from app.domain.annotations.novelty import novel_groups
from app.domain.annotations.records import FeatureLabel, HeadAnnotation, Revision, Subject
from app.domain.annotations.type_changes import changes_in_words, counts_in_words
from app.domain.attention import N_SHOWN_EXAMPLES
from app.domain.refs import ExampleRef, HeadRef, LabelledRef
from app.services.annotations.models import AnnotationRecord, HeadRecordsPage, RecordState
from app.services.annotations.record_words import record_view, saved_at
from app.services.annotations.sae_of_record import on_this_sae
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import is_open
from app.services.rollups.work_order import in_work_order
from app.store import annotations as store
from app.store.annotators import CONSENSUS, PUBLISHED
from app.store.atlas.attention import get_attention
from app.store.atlas.reads import get_ranking


def records_of(context: AtlasContext, head: HeadRef) -> list[Revision]:
    """Everyone's records of the head, as far as the viewer may see them."""
    return [record for record in context.records if record.subject.ref == head]


def own_record(context: AtlasContext, head: HeadRef) -> Revision | None:
    """The viewer's record of the head; None while there is none."""
    viewer = context.viewer
    return next((record for record in records_of(context, head) if record.annotator == viewer.name), None)


def own_heads(context: AtlasContext) -> dict[HeadRef, Revision]:
    """The viewer's records by head."""
    return {
        record.subject.ref: record
        for record in context.records
        if record.annotator == context.viewer.name and isinstance(record.subject.ref, HeadRef)
    }


def group_names(context: AtlasContext) -> list[str]:
    """Group names in use: the viewer's most used first, then others' most used, then by name."""
    names: dict[str, str] = {}
    own: Counter[str] = Counter()
    of_anyone: Counter[str] = Counter()
    for record in context.records:
        if isinstance(record.content, HeadAnnotation):
            for group in on_this_sae(context.run, record).groups:
                key = normalised(group.name)
                names.setdefault(key, group.name)
                of_anyone[key] += 1
                own[key] += record.annotator == context.viewer.name
    return [names[key] for key in sorted(names, key=lambda key: (-own[key], -of_anyone[key], key))]


def last_groups(context: AtlasContext, head: HeadRef) -> tuple[str, ...]:
    """Names of the groups of the viewer's last saved record of another head, in their order."""
    records = (
        record
        for ref, record in own_heads(context).items()
        if ref != head and on_this_sae(context.run, record).groups
    )
    last = max(records, key=lambda record: record.created_at, default=None)
    return tuple(group.name for group in last.head.groups) if last else ()


def novel_group_names(context: AtlasContext, head: HeadRef, content: HeadAnnotation) -> tuple[str, ...]:
    """Groups of the content that the viewer uses on no earlier head."""
    earlier = {ref: _used(record.head) for ref, record in own_heads(context).items() if ref < head}
    return novel_groups({**earlier, head: _used(content)}).get(head, ())


def _used(content: HeadAnnotation) -> list[str]:
    return [name for name, _ in content.computed.groups]


def next_head(context: AtlasContext, after: HeadRef | None) -> HeadRef | None:
    """The next head after `after` without a settled record, wrapping around; None when all are settled.

    In the viewer's order of work. Only layers with an SAE count.
    """
    heads = in_work_order(context)
    done = {ref for ref, record in own_heads(context).items() if record.status != "draft"}
    if after in heads:
        start = heads.index(after) + 1
    else:  # of a layer without an SAE, which no order has
        start = sum(head <= after for head in heads) if after and context.viewer.order == "layer" else 0
    left = [head for head in (*heads[start:], *heads[:start]) if head not in done and head != after]
    return left[0] if left else None


def counted_refs(context: AtlasContext, head: HeadRef, content: HeadAnnotation) -> tuple[LabelledRef, ...]:
    """The top features that determine the head's type, strongest first; without an SAE, the strongest examples."""
    if all(sae.layer != head.layer for sae in context.run.record.saes):
        return _strongest_examples(context, head)[: content.k]
    ranking = get_ranking(context.session, context.run, head, content.ranking, content.k)
    return tuple(place.ref for place in ranking.features)


def _strongest_examples(context: AtlasContext, head: HeadRef) -> tuple[ExampleRef, ...]:
    attention = get_attention(context.session, context.run, head)
    top = next((group for group in attention.groups if group.name == "top"), None) if attention else None
    if attention is None or top is None:
        return ()
    rows = slice(top.start, min(top.stop, top.start + N_SHOWN_EXAMPLES))
    places = zip(
        attention.examples.sequence[rows].tolist(), attention.examples.position[rows].tolist(), strict=True
    )
    return tuple(ExampleRef(head.layer, head.head, sequence, position) for sequence, position in places)


def with_labels(content: HeadAnnotation, counted: Sequence[LabelledRef]) -> HeadAnnotation:
    """The content with its labels reordered: the counted ones first, then others that say something."""
    by_feature = {label.feature: label for label in content.labels}
    top = [by_feature.pop(feature, None) or FeatureLabel(feature) for feature in counted]
    rest = [label for label in by_feature.values() if label.group is not None or label.unclear]
    return replace(content, labels=(*top, *rest))


def others_of(context: AtlasContext, head: HeadRef) -> tuple[AnnotationRecord, ...]:
    names = (context.viewer.name, PUBLISHED)
    records = [record for record in records_of(context, head) if record.annotator not in names]
    return tuple(
        record_view(r) for r in sorted(records, key=lambda r: (r.annotator != CONSENSUS, r.annotator))
    )


def record_state(context: AtlasContext, head: HeadRef, content: HeadAnnotation | None = None) -> RecordState:
    """The state of the viewer's record of the head, or the state that it would have with `content`."""
    record = own_record(context, head)
    annotation = content or (on_this_sae(context.run, record) if record else HeadAnnotation())
    versions = _versions(context, head) if record else {}
    computed = annotation.computed
    return RecordState(
        saved_at=saved_at(record) if record else None,
        computed=computed.head_type,
        counts=counts_in_words(computed),
        changes=()
        if annotation.of_examples
        else changes_in_words([label.label for label in annotation.labels], annotation.k),
        n_grouped=computed.n_features - computed.n_unlabelled,
        n_counted=computed.n_features,
        novel=novel_group_names(context, head, annotation),
        can_undo=undo_target(versions) is not None,
        can_redo=redo_target(versions) is not None,
    )


def _versions(context: AtlasContext, head: HeadRef) -> dict[int, int | None]:
    subject = context.viewer.subject_of(head)
    return store.versions(context.session, context.atlas_id, subject, context.viewer.annotator_id)


def head_records(context: AtlasContext, head: HeadRef) -> HeadRecordsPage:
    """The page of a head's records: the viewer's own, and others' as far as they may be seen."""
    record = own_record(context, head)
    return HeadRecordsPage(
        model=context.run.slug,
        head=head,
        annotator=context.viewer.name,
        record=record_view(record) if record else None,
        others=others_of(context, head),
        others_open=is_open(context.session, context.atlas_id, context.viewer, Subject(head)),
        novel=novel_group_names(context, head, record.head) if record else (),
    )
