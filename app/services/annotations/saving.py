"""Saving, restoring and merging annotations of the heads and features of an atlas."""

from dataclasses import dataclass
from datetime import datetime

import app
from app.domain.annotations.merging import MergeResult, merge
from app.domain.annotations.records import (
    Against,
    Content,
    FeatureNote,
    HeadAnnotation,
    InvalidAnnotation,
    Status,
    Subject,
)
from app.domain.refs import ExampleRef, FeatureRef, HeadRef
from app.errors import NotFound
from app.services.annotations.sae_of_record import is_of_other_sae, speaks_of_features, with_features_of
from app.services.reading.context import AtlasContext, check_head
from app.services.reading.visibility import check_may_write, is_blind_to, visible_history
from app.store import annotations as store
from app.store import revealed_hints
from app.store.annotations import Conflict, Draft, SavedRevision
from app.store.annotators import CONSENSUS, ensure_annotator
from app.store.atlas.reads import LiveRun
from app.store.histories import WHOLE, HistoryPart, HistoryRange


@dataclass(frozen=True)
class Save:
    """A request to save a record.

    base_version: the version that the form was filled from, 0 for a new record.
    """

    ref: HeadRef | FeatureRef
    content: Content
    base_version: int
    idempotency_key: str
    status: Status = "draft"
    for_consensus: bool = False


def subject_of(run: LiveRun, ref: HeadRef | FeatureRef) -> Subject:
    """The head, or the feature of the run's SAE. Raises NotFound where the run has no such head or feature."""
    if isinstance(ref, HeadRef):
        check_head(run, ref)
        return Subject(ref)
    sae = next((sae for sae in run.record.saes if sae.layer == ref.layer), None)
    if sae is None or ref.index >= sae.d_sae:
        raise NotFound(f"{ref} is not a feature of the atlas {run.slug!r}")
    return Subject(ref, sae.checksum)


def record_subject(context: AtlasContext, ref: HeadRef | FeatureRef) -> Subject:
    """What the viewer's record is about that is open to them now: the head, or their second look at it."""
    subject = subject_of(context.run, ref)
    return context.viewer.subject_of(ref) if isinstance(ref, HeadRef) else subject


def _subject(context: AtlasContext, request: "Save | Restore") -> Subject:
    return (
        subject_of(context.run, request.ref)
        if request.for_consensus
        else record_subject(context, request.ref)
    )


def against_of(run: LiveRun, layer: int) -> Against:
    """The run, SAE and software version that an annotation made now refers to.

    The SAE is an empty text if the layer has none.
    """
    sae = next((sae.checksum for sae in run.record.saes if sae.layer == layer), "")
    return Against(run.record.fingerprint, sae, app.__version__)


def save(context: AtlasContext, request: Save, now: datetime) -> SavedRevision:
    """Append a revision to the viewer's record, or to the consensus if an admin asks for it.

    Raises Conflict with both texts, Forbidden, NotFound, KeyReused, or the error for invalid content.
    """
    owner_name = CONSENSUS if request.for_consensus else context.viewer.name
    check_may_write(context.viewer, owner_name)
    subject = _subject(context, request)
    owner_id = context.viewer.annotator_id
    if request.for_consensus:
        owner_id = ensure_annotator(context.session, CONSENSUS, now, "system").id
    content, against = _of_its_sae(context, subject, owner_id, request.content)
    draft = Draft(
        subject=subject,
        annotator_id=owner_id,
        author_id=context.viewer.annotator_id,
        base_version=request.base_version,
        idempotency_key=request.idempotency_key,
        content=content,
        against=against,
        status=request.status,
        blind=is_blind_to(context.session, context.atlas_id, context.viewer, subject),
    )
    return store.save(context.session, context.atlas_id, draft, now)


def _of_its_sae(
    context: AtlasContext, subject: Subject, owner_id: int, content: Content
) -> tuple[Content, Against]:
    """The content to store for an edit, and the run and SAE that it is stored with.

    If the record was made on another SAE of the layer, an edit without labels keeps the record's labels and their SAE;
    an edit with labels starts anew on the run's own SAE.
    """
    here = against_of(context.run, subject.ref.layer)
    if isinstance(content, HeadAnnotation) and not speaks_of_features(content):
        record = store.newest_of(context.session, context.atlas_id, subject, owner_id)
        if record is not None and is_of_other_sae(context.run, record) and speaks_of_features(record.head):
            return with_features_of(content, record), record.against
    check_labels(context.run, subject, content)
    return content, here


def check_labels(run: LiveRun, subject: Subject, content: Content) -> None:
    """Raise InvalidAnnotation or NotFound for a label of a feature or example that the run does not have."""
    if not isinstance(content, HeadAnnotation):
        return
    for label in content.labels:
        if label.feature.layer != subject.ref.layer:
            raise InvalidAnnotation(f"{label.feature} is not a feature of layer {subject.ref.layer}")
        if isinstance(label.feature, ExampleRef):
            _check_example(run, label.feature)
        else:
            subject_of(run, label.feature)


def _check_example(run: LiveRun, example: ExampleRef) -> None:
    record = run.record
    if any(sae.layer == example.layer for sae in record.saes):
        raise InvalidAnnotation(f"{example.head_ref} has features: its examples have no labels")
    if example.sequence >= record.n_sequences or example.position >= record.context_size:
        raise NotFound(f"{example} is not in the corpus of the atlas {run.slug!r}")


@dataclass(frozen=True)
class Restore:
    """A request to make an old version the newest one again."""

    ref: HeadRef | FeatureRef
    version: int
    base_version: int
    idempotency_key: str
    for_consensus: bool = False


def restore(context: AtlasContext, request: Restore, now: datetime) -> SavedRevision:
    """Append the old version's content as a new revision, with the run and SAE that it was made against.

    Raises NotFound for a version that does not exist, and whatever `save` raises.
    """
    owner = CONSENSUS if request.for_consensus else context.viewer.name
    check_may_write(context.viewer, owner)
    subject = _subject(context, request)
    down_from = HistoryRange(request.version + 1, 1)
    revisions = visible_history(
        context.session, context.atlas_id, context.viewer, subject, owner, down_from
    ).revisions
    old = revisions[0] if revisions else None
    if old is None or old.version != request.version:
        raise NotFound(f"there is no version {request.version} of {request.ref} to restore")
    owner_id = (
        ensure_annotator(context.session, owner, now, "system").id
        if request.for_consensus
        else context.viewer.annotator_id
    )
    draft = Draft(
        subject=subject,
        annotator_id=owner_id,
        author_id=context.viewer.annotator_id,
        base_version=request.base_version,
        idempotency_key=request.idempotency_key,
        content=old.content,
        against=old.against,
        status=old.status,
        blind=is_blind_to(context.session, context.atlas_id, context.viewer, subject),
        restored_from=old.version,
    )
    return store.save(context.session, context.atlas_id, draft, now)


def propose_merge(conflict: Conflict) -> MergeResult:
    """The three-way merge that fills the conflict form.

    To save it, use the version of `conflict.theirs` as the base version.
    """
    empty = HeadAnnotation() if isinstance(conflict.mine, HeadAnnotation) else FeatureNote()
    base = conflict.base.content if conflict.base else empty
    return merge(base, conflict.mine, conflict.theirs.content)


def reveal_hint(context: AtlasContext, head: HeadRef, now: datetime) -> None:
    """Show the viewer the published hint about a head before they submit, and record that it was shown."""
    subject_of(context.run, head)
    revealed_hints.reveal_hint(context.session, context.atlas_id, head, context.viewer.annotator_id, now)


def history(
    context: AtlasContext, ref: HeadRef | FeatureRef, annotator: str, part: HistoryRange = WHOLE
) -> HistoryPart:
    """Revisions of a record, newest first. Raises NotFound if it is hidden or there is no such annotator."""
    subject = record_subject(context, ref)
    return visible_history(context.session, context.atlas_id, context.viewer, subject, annotator, part)
