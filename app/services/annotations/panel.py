"""The annotation panel beside a head: the viewer's record as a form, with suggestions and others' records."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.annotations.names import normalised
from app.domain.annotations.records import FeatureNote, HeadAnnotation, Revision, Subject
from app.domain.annotations.roles import ROLES, suggested_family
from app.domain.records import Ranking
from app.domain.refs import ExampleRef, FeatureRef, HeadRef, LabelledRef
from app.services.annotations.head_records import (
    counted_refs,
    group_names,
    last_groups,
    others_of,
    own_record,
    record_state,
    with_labels,
)
from app.services.annotations.hints import NO_SUGGESTIONS, Suggestions
from app.services.annotations.models import ClashView, GroupSlot, Hint, Panel, RoleChoice
from app.services.annotations.record_words import evidence_view, record_view
from app.services.annotations.sae_of_record import is_of_other_sae, on_this_sae
from app.services.annotations.saving import against_of
from app.services.annotations.second_looks import check_second_look, next_look
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import is_open
from app.services.rollups.published import published_for
from app.store import annotations as store
from app.store.revealed_hints import revealed_hints

N_KEYS = 9
# Offered where the atlas has no vocabulary yet; names are the roles' own, so that they count as the same.
FIRST_GROUPS = (
    "induction",
    "previous token",
    "duplicate token",
    "copying",
    "local context",
    "single token",
    "bigram",
)


@dataclass(frozen=True)
class Attempt:
    """A save that did not succeed: what was typed, and why."""

    content: HeadAnnotation
    base_version: int
    message: str
    clashes: tuple[ClashView, ...] | None = None


@dataclass(frozen=True)
class ShownRows:
    """The rows that a page of the head shows, each of which has an input for its label.

    k: the number of rows of features if they are the first k of the ranking, 0 if they are not. examples, strongest:
    of a head without features, the examples that are shown and those that are counted.
    """

    head: HeadRef
    rank: Ranking
    k: int
    features: tuple[FeatureRef, ...]
    examples: tuple[ExampleRef, ...] = ()
    strongest: tuple[ExampleRef, ...] = ()


def panel(
    context: AtlasContext,
    page: ShownRows,
    suggestions: Callable[[], Suggestions],
    attempt: Attempt | None = None,
) -> Panel:
    """The annotation form, filled from the stored record or from a failed save.

    suggestions: what evidence suggests; called only if that is shown. A second look is a form of its own, without
    others' records and hints, and without groups from the viewer's notes.
    """
    check_second_look(context)
    record = own_record(context, page.head)
    content = attempt.content if attempt else _stored(context, record)
    content = with_labels(content, counted := _counted(context, page, content))
    others_open = is_open(context.session, context.atlas_id, context.viewer, Subject(page.head))
    proposals = suggestions() if _shows_suggestions(context, page.head, others_open) else NO_SUGGESTIONS
    vocabulary = group_names(context)
    slots = _slots(content, (*last_groups(context, page.head), *vocabulary))
    labels = _label_values(content, slots)
    hint_open = _shows_hint(context, page.head, record)
    return Panel(
        annotator=context.viewer.name,
        may_write=context.viewer.may_write,
        content=content,
        version=attempt.base_version if attempt else record.version if record else 0,
        status=record.status if record else "draft",
        state=record_state(context, page.head, content),
        slots=slots,
        labels=labels,
        accepted=frozenset(label.feature for label in content.labels if label.suggested),
        unshown=_unshown(labels, page),
        counted=counted,
        roles=_roles(content, {s.role: (s.count, s.total) for s in proposals.roles}),
        evidence=tuple(map(evidence_view, content.evidence)),
        vocabulary=tuple(vocabulary[:60]),
        suggestions={s.feature: s for s in proposals.features if not labels.get(s.feature)},
        from_labels=_from_labels(context, content, page.head),
        others=others_of(context, page.head),
        others_open=others_open,
        older_run=_older_run(context, record),
        sae=against_of(context.run, page.head.layer).sae,
        of_other_sae=record_view(record) if record and is_of_other_sae(context.run, record) else None,
        following=next_look(context, page.head),
        look=page.head if context.viewer.looks_again_at(page.head) else None,
        has_hints=_has_hints(context, page.head),
        hint=_hint(context, page.head, record) if hint_open else None,
        hint_open=hint_open,
        message=attempt.message if attempt else "",
        clashes=attempt.clashes if attempt else None,
    )


def _shows_suggestions(context: AtlasContext, head: HeadRef, others_open: bool) -> bool:
    """Whether the form has suggestions: not for readers, nor while the blind may not see others' records.

    In a second look there are none for the blind at all.
    """
    blind = context.viewer.blind if context.viewer.looks_again_at(head) else not others_open
    return context.viewer.may_write and not blind


def _label_values(content: HeadAnnotation, slots: Sequence[GroupSlot]) -> dict[LabelledRef, str]:
    """Each label's value in the form: the number of a group slot, `unclear`, or an empty text."""
    numbers = {normalised(slot.name): str(slot.number) for slot in slots}
    return {
        label.feature: "unclear" if label.unclear else numbers[normalised(label.group)] if label.group else ""
        for label in content.labels
    }


def _unshown(labels: Mapping[LabelledRef, str], page: ShownRows) -> tuple[tuple[LabelledRef, str], ...]:
    on_page = {*page.features, *page.examples}
    return tuple((feature, value) for feature, value in labels.items() if feature not in on_page)


def _counted(context: AtlasContext, page: ShownRows, content: HeadAnnotation) -> tuple[LabelledRef, ...]:
    if page.strongest:
        return page.strongest[: content.k]
    if page.features and page.rank == content.ranking and page.k >= content.k:
        return page.features[: content.k]
    return counted_refs(context, page.head, content)


def _slots(content: HeadAnnotation, vocabulary: Iterable[str]) -> tuple[GroupSlot, ...]:
    counts = Counter(normalised(label.group) for label in content.labels if label.group)
    slots = [
        GroupSlot(i, group.name, group.family, group.abstraction, counts[normalised(group.name)], False)
        for i, group in enumerate(content.groups, 1)
    ]
    taken = {normalised(group.name) for group in content.groups}
    for name in (*vocabulary, *FIRST_GROUPS):
        if len(slots) < N_KEYS and normalised(name) not in taken:
            taken.add(normalised(name))
            slots.append(GroupSlot(len(slots) + 1, name, suggested_family(name), None, 0, True))
    return tuple(slots)


def _roles(content: HeadAnnotation, suggested: dict[str, tuple[int, int]]) -> tuple[RoleChoice, ...]:
    return tuple(
        RoleChoice(r.name, r.code, r.key, r.meaning, r.name in content.roles, suggested.get(r.name))
        for r in ROLES
    )


def _from_labels(context: AtlasContext, content: HeadAnnotation, head: HeadRef) -> dict[FeatureRef, str]:
    """Short labels from the viewer's feature notes, for the features that have no group yet; none in a second look."""
    if context.viewer.looks_again_at(head):
        return {}
    labels = context.once("own labels of features", lambda: _own_labels(context))
    open_ = (label.feature for label in content.labels if label.group is None and not label.unclear)
    return {ref: labels[ref] for ref in open_ if isinstance(ref, FeatureRef) and ref in labels}


def _own_labels(context: AtlasContext) -> dict[FeatureRef, str]:
    saes = {sae.layer: sae.checksum for sae in context.run.record.saes}
    return {
        record.subject.ref: record.content.label
        for record in context.records
        if isinstance(record.content, FeatureNote)
        and isinstance(record.subject.ref, FeatureRef)
        and record.annotator == context.viewer.name
        and record.subject.sae == saes.get(record.subject.ref.layer)
        and record.content.label
    }


def _stored(context: AtlasContext, record: Revision | None) -> HeadAnnotation:
    return on_this_sae(context.run, record) if record else HeadAnnotation()


def _older_run(context: AtlasContext, record: Revision | None) -> str | None:
    run = record.against.run if record else None
    return run if run is not None and run != context.run.record.fingerprint else None


def _has_hints(context: AtlasContext, head: HeadRef) -> bool:
    return not context.viewer.looks_again_at(head) and published_for(context.run.record.model) is not None


def _shows_hint(context: AtlasContext, head: HeadRef, record: Revision | None) -> bool:
    """Whether to show the published hint: yes for viewers, and for annotators after they submit or reveal it."""
    if context.viewer.looks_again_at(head):
        return False
    if context.viewer.role == "viewer":
        return True
    annotator = context.viewer.annotator_id
    if record is not None and (
        record.status == "submitted"
        or Subject(head) in store.ever_submitted(context.session, context.atlas_id, annotator)
    ):
        return True
    if not context.annotation_state.revealed:
        return False
    return head in revealed_hints(context.session, context.atlas_id, annotator)


def _hint(context: AtlasContext, head: HeadRef, record: Revision | None) -> Hint | None:
    published = published_for(context.run.record.model)
    published_head = published.heads.get(head) if published else None
    if published is None or published_head is None:
        return None
    annotation = published_head.annotation
    agrees = bool(set(annotation.roles) & set(record.head.roles)) if annotation.roles and record else None
    return Hint(
        annotation.roles,
        annotation.override,
        annotation.notes,
        published_head.caveat,
        published.source,
        agrees,
    )
