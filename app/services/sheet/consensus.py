"""The consensus form: an admin's record for the team of a head on which annotators disagree."""

from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.annotations.fields import personal_fields
from app.domain.annotations.head_types import HEAD_TYPES, HeadType
from app.domain.annotations.records import HeadAnnotation, InvalidAnnotation, Revision
from app.domain.annotations.roles import find_role
from app.domain.refs import HeadRef
from app.services.annotations.sae_of_record import on_this_sae
from app.services.annotations.saving import Save, save, subject_of
from app.services.examples.from_records import summarise_run
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import check_may_write, visible_records
from app.services.rollups.agreement import Opinion, final_type
from app.services.rollups.overview import group_counts
from app.services.sheet.models import ConsensusPage, ConsensusSource
from app.store.annotations import Conflict, SavedRevision
from app.store.annotators import CONSENSUS


@dataclass(frozen=True)
class ConsensusForm:
    """The content of the consensus form.

    base: the annotator whose groups and labels are taken over; empty to take over none.
    """

    base: str
    head_type: str
    reason: str
    roles: str
    notes: str
    base_version: int
    key: str


def consensus_page(
    context: AtlasContext,
    head: HeadRef,
    key: str,
    submission: ConsensusForm | None = None,
    message: str = "",
) -> ConsensusPage:
    """The consensus form, filled from the stored consensus, or with a submission that was rejected.

    Raises Forbidden for viewers who are not admins, NotFound for a head that the model does not have.
    """
    check_may_write(context.viewer, CONSENSUS)
    records = _records(context, head)
    current = next((record for record in records if record.annotator == CONSENSUS), None)
    form = submission or _fill(current, records, key)
    return ConsensusPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        head=head,
        sources=tuple(_source(record) for record in records),
        base=form.base,
        head_type=form.head_type,
        reason=form.reason,
        roles=form.roles,
        notes=form.notes,
        base_version=form.base_version,
        key=key,
        message=message,
    )


def _records(context: AtlasContext, head: HeadRef) -> list[Revision]:
    subject = subject_of(context.run, head)
    return visible_records(context.session, context.atlas_id, context.viewer, [subject])


def _fill(current: Revision | None, records: list[Revision], key: str) -> ConsensusForm:
    if current is None:
        base = records[0].annotator if records else ""
        roles = sorted({role for record in records for role in record.head.roles})
        return ConsensusForm(base, "", "", "; ".join(roles), "", 0, key)
    content = current.head
    return ConsensusForm(
        CONSENSUS,
        content.override or "",
        content.override_reason,
        "; ".join(content.roles),
        content.notes,
        current.version,
        key,
    )


def _source(record: Revision) -> ConsensusSource:
    content = record.head
    return ConsensusSource(
        Opinion(record.annotator, final_type(content), content.roles),
        group_counts(content),
        content.notes,
        content.override_reason,
    )


def save_consensus(context: AtlasContext, head: HeadRef, form: ConsensusForm, now: datetime) -> SavedRevision:
    """Save the consensus of one head.

    Raises Forbidden, Conflict if someone else has saved it in the meantime, or what makes the content
    unacceptable.
    """
    check_may_write(context.viewer, CONSENSUS)
    records = _records(context, head)
    content = HeadAnnotation()
    if form.base:
        base = next((record for record in records if record.annotator == form.base), None)
        if base is None:
            raise InvalidAnnotation(f"{form.base[:60]!r} has no record of {head} to take over")
        content = on_this_sae(context.run, base)
    roles = [part for part in form.roles.replace(",", ";").split(";") if part.strip()]
    content = replace(
        content,
        roles=tuple(dict.fromkeys(find_role(role).name for role in roles)),
        override=_head_type(form.head_type),
        override_reason=form.reason if form.head_type else "",
        notes=form.notes,
        **{name: getattr(HeadAnnotation(), name) for name in personal_fields(HeadAnnotation)},
    )
    request = Save(head, content, form.base_version, form.key, "submitted", for_consensus=True)
    return save(context, request, now)


def _head_type(text: str) -> HeadType | None:
    for head_type in HEAD_TYPES:
        if head_type == text:
            return head_type
    if text:
        raise InvalidAnnotation(f"{text[:60]!r} is an unknown head type; choose from {', '.join(HEAD_TYPES)}")
    return None


def conflict_message(conflict: Conflict) -> str:
    """A message for an admin whose consensus was not saved, because another admin had just saved one."""
    theirs = conflict.theirs
    named = theirs.head.head_type or "no type"
    return (
        f"{theirs.author} settled this head at {theirs.created_at:%H:%M} UTC as {named}; nothing of yours was stored. "
        "Their record is among those below. Send the form again to put yours in its place; the history keeps both."
    )
