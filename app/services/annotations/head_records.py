"""Annotation records of one head that the viewer may see, and what the annotation form derives from them."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.annotations.edits import redo_target, undo_target
from app.domain.annotations.names import normalised
from app.domain.annotations.novelty import new_names
from app.domain.annotations.records import FeatureLabel, HeadAnnotation, Revision, Subject
from app.domain.annotations.type_changes import changes_in_words, counts_in_words
from app.domain.attention import N_SHOWN_EXAMPLES
from app.domain.refs import ExampleRef, FeatureRef, HeadRef, LabelledRef
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
from app.store.database.engine import only_reads


def records_of(context: AtlasContext, ref: HeadRef | FeatureRef) -> list[Revision]:
    """Everyone's records of the head or feature, as far as the viewer may see them."""
    return context.once("records by subject", lambda: _by_subject(context)).get(ref, [])


def _by_subject(context: AtlasContext) -> dict[HeadRef | FeatureRef, list[Revision]]:
    found: dict[HeadRef | FeatureRef, list[Revision]] = {}
    for record in context.records:
        found.setdefault(record.subject.ref, []).append(record)
    return found


def own_record(context: AtlasContext, head: HeadRef) -> Revision | None:
    """The viewer's record of the head; None while there is none."""
    viewer = context.viewer
    return next((record for record in records_of(context, head) if record.annotator == viewer.name), None)


def own_heads(context: AtlasContext) -> dict[HeadRef, Revision]:
    """The viewer's records by head."""
    return context.once("own heads", lambda: _own_heads(context))


def _own_heads(context: AtlasContext) -> dict[HeadRef, Revision]:
    return {
        record.subject.ref: record
        for record in context.records
        if record.annotator == context.viewer.name and isinstance(record.subject.ref, HeadRef)
    }


def group_names(context: AtlasContext) -> list[str]:
    """Group names in use: the viewer's most used first, then others' most used, then by name."""
    return context.once("group names", lambda: _group_names(context))


def _group_names(context: AtlasContext) -> list[str]:
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
    latest = context.once("latest with groups", lambda: _latest_with_groups(context))
    last = next((record for record in latest if record.subject.ref != head), None)
    return tuple(group.name for group in last.head.groups) if last else ()


def _latest_with_groups(context: AtlasContext) -> list[Revision]:
    records = [record for record in own_heads(context).values() if on_this_sae(context.run, record).groups]
    return sorted(records, key=lambda record: record.created_at, reverse=True)[:2]


def novel_group_names(context: AtlasContext, head: HeadRef, content: HeadAnnotation) -> tuple[str, ...]:
    """Groups of the content that the viewer uses on no earlier head."""
    first = context.once("first heads of groups", lambda: _first_heads_of_groups(context))
    return new_names(_used(content), {name for name, other in first.items() if other < head})


def _first_heads_of_groups(context: AtlasContext) -> dict[str, HeadRef]:
    """The first head of which the viewer's record uses a group, by the group's normalised name."""
    first: dict[str, HeadRef] = {}
    for head, record in sorted(own_heads(context).items()):
        for name in _used(record.head):
            first.setdefault(normalised(name), head)
    return first


def _used(content: HeadAnnotation) -> list[str]:
    return [name for name, _ in content.computed.groups]


def next_head(context: AtlasContext, after: HeadRef | None) -> HeadRef | None:
    """The next head after `after` without a settled record, wrapping around; None when all are settled.

    In the viewer's order of work. Only layers with an SAE count.
    """
    return context.once("order of work", lambda: _order_of_work(context)).open_after(after)


@dataclass(frozen=True)
class _OrderOfWork:
    """The viewer's heads in their order of work, the place of each, and in order the places of those left to settle."""

    heads: tuple[HeadRef, ...]
    places: dict[HeadRef, int]
    left: tuple[int, ...]
    by_layer: bool

    def open_after(self, after: HeadRef | None) -> HeadRef | None:
        at = bisect_left(self.left, self._start(after) if after else 0)
        nearest = (*self.left[at : at + 1], *self.left[:1])
        return next((self.heads[place] for place in nearest if self.heads[place] != after), None)

    def _start(self, after: HeadRef) -> int:
        """The place that follows a head's. A head of a layer without an SAE is in no order but that of layers."""
        if after in self.places:
            return self.places[after] + 1
        return bisect_right(self.heads, after) if self.by_layer else 0


def _order_of_work(context: AtlasContext) -> _OrderOfWork:
    heads = tuple(in_work_order(context))
    done = {ref for ref, record in own_heads(context).items() if record.status != "draft"}
    return _OrderOfWork(
        heads=heads,
        places={head: place for place, head in enumerate(heads)},
        left=tuple(place for place, head in enumerate(heads) if head not in done),
        by_layer=context.viewer.order == "layer",
    )


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
    versions = _versions(context, head, record) if record else {}
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


def _versions(context: AtlasContext, head: HeadRef, newest: Revision) -> dict[int, int | None]:
    """The versions of the viewer's record up to the newest, and what each restored: none of them changes any more."""
    subject, annotator = context.viewer.subject_of(head), context.viewer.annotator_id
    if not only_reads(context.session):  # what is read may never be committed
        return store.versions(context.session, context.atlas_id, subject, annotator)
    return context.cache.of_page(
        context.run,
        ("versions", annotator, subject, newest.version, newest.created_at),
        lambda: store.versions(context.session, context.atlas_id, subject, annotator),
    )


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
