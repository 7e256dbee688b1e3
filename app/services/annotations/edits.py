"""Buttons of the annotation form: edit the content and save it, undo, redo, or reveal the hint."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.annotations import edits
from app.domain.annotations.json_form import content_to_json
from app.domain.annotations.records import (
    EVIDENCE_KINDS,
    Content,
    EvidenceLink,
    HeadAnnotation,
    InvalidAnnotation,
    Revision,
    Status,
)
from app.domain.refs import HeadRef, LabelledRef
from app.services.annotations import saving
from app.services.annotations.head_records import counted_refs, own_record, with_labels
from app.services.annotations.sae_of_record import is_of_other_sae, on_this_sae
from app.services.annotations.saving import Restore, Save
from app.services.annotations.second_looks import check_second_look
from app.services.reading.context import AtlasContext
from app.store import annotations as store

# Buttons that settle a head; every other one leaves its status as it is.
FINISHING: Mapping[str, Status] = {"submit": "submitted", "unsure": "unsure", "skip": "skipped"}


@dataclass(frozen=True)
class SubmittedForm:
    """A submitted annotation form, as it was parsed.

    action: the button that was pressed. theirs: the conflicting fields to resolve in favour of the stored
    text. suggested: groups to accept from the suggestions. key: idempotency key of the save.
    """

    content: HeadAnnotation
    base_version: int
    status: Status
    action: str = "save"
    argument: str = ""
    new_group: str = ""
    theirs: tuple[str, ...] = ()
    suggested: Mapping[LabelledRef, str] | None = None
    key: str = ""


def apply_action(context: AtlasContext, head: HeadRef, form: SubmittedForm, now: datetime) -> Revision | None:
    """Apply the button's action and return the viewer's record after it; None while there is none.

    Raises whatever `services.annotations.save` does.
    """
    saving.subject_of(context.run, head)
    check_second_look(context)
    if form.action == "reveal":
        saving.check_may_write(context.viewer, context.viewer.name)
        saving.reveal_hint(context, head, now)
        return own_record(context, head)
    if form.action in ("undo", "redo"):
        return _undo_or_redo(context, head, form, now)
    content = with_action(context, head, form)
    status = FINISHING.get(form.action, "draft" if form.status == "skipped" else form.status)
    stored = own_record(context, head)
    before = stored and (_content_on_page(context, head, stored, content), stored.status)
    if stored is not None and before == (content, status) and stored.version == form.base_version:
        return stored
    key = form.key or derived_key(form.base_version, status, content)
    request = Save(head, content, form.base_version, key, status)
    return saving.save(context, request, now).revision


def _content_on_page(
    context: AtlasContext, head: HeadRef, stored: Revision, content: HeadAnnotation
) -> Content:
    """The content that the form showed: of a record made on another SAE, only what does not depend on its features."""
    if not is_of_other_sae(context.run, stored):
        return stored.content
    of_here = replace(on_this_sae(context.run, stored), ranking=content.ranking, k=content.k)
    return with_labels(of_here, counted_refs(context, head, content))


def derived_key(base_version: int, status: str, content: Content) -> str:
    """An idempotency key made from content and base version, so that a repeated save of a record is recognised."""
    text = json.dumps(content_to_json(content), sort_keys=True)
    whole = f"{base_version} {status} {text}"
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def with_action(context: AtlasContext, head: HeadRef, form: SubmittedForm) -> HeadAnnotation:
    """The form's content after the button's edit, with labels in the order of the ranking.

    Groups that hold nothing are left out, but for those of somebody who is just adding and removing groups.
    """
    content = _edited(context, head, form)
    return content if form.action in ("add_group", "drop_group") else edits.without_empty_groups(content)


def _edited(context: AtlasContext, head: HeadRef, form: SubmittedForm) -> HeadAnnotation:
    content = form.content
    if form.theirs:
        stored = own_record(context, head)
        if stored is not None and stored.version == form.base_version:
            content = edits.take_theirs(content, stored.head, form.theirs)
    counted = counted_refs(context, head, content)
    content = with_labels(content, counted)
    match form.action:
        case "add_group" if form.new_group.strip():
            return edits.add_group(content, form.new_group.strip())
        case "drop_group":
            return edits.drop_group(content, _number(form.argument))
        case "cite":
            return edits.cite(content, _evidence_link(form.argument))
        case "drop_evidence":
            return edits.drop_evidence(content, _number(form.argument))
        case "accept":
            return edits.put_into_groups(content, form.suggested or {}, suggested=True)
        case "propose":
            return edits.put_into_groups(content, form.suggested or {}, suggested=False)
        case _:
            return content


def _undo_or_redo(
    context: AtlasContext, head: HeadRef, form: SubmittedForm, now: datetime
) -> Revision | None:
    subject = saving.record_subject(context, head)
    versions = store.versions(context.session, context.atlas_id, subject, context.viewer.annotator_id)
    target = (edits.undo_target if form.action == "undo" else edits.redo_target)(versions)
    if target is None:
        return own_record(context, head)
    key = form.key or f"{form.action} {form.base_version}"
    request = Restore(head, target, form.base_version, key)
    return saving.restore(context, request, now).revision


def _number(text: str) -> int:
    """The number that a button names, counted from 1; 0, which names nothing, for any other text."""
    return int(text) if text.isdecimal() and len(text) < 5 else 0


def _evidence_link(argument: str) -> EvidenceLink:
    kind, _, target = argument.partition(":")
    for evidence_kind in EVIDENCE_KINDS:
        if kind == evidence_kind and target:
            return EvidenceLink(evidence_kind, target)
    raise InvalidAnnotation("only an example, a feature, a score or an experiment can be cited")
