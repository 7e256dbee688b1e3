"""Who may see which annotation. Every reader of annotations goes through `visible_records`."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.annotations.records import Revision, Subject
from app.domain.experiments.registry import needs_roles
from app.domain.refs import HeadRef
from app.errors import AppError, NotFound
from app.store import annotations as store
from app.store.annotators import CONSENSUS, Annotator, AnnotatorRole, get_annotator
from app.store.database.engine import Session
from app.store.revealed_hints import revealed_hints


class Forbidden(AppError):
    """The role of this annotator does not allow it."""

    status_code = 403


@dataclass(frozen=True)
class Viewer:
    """Who is looking. Blind: others' records of a head are hidden until one's own has been submitted.

    submitted_only: of the rest not even what is skipped or unsure, as in what is given away.
    """

    annotator_id: int
    name: str
    role: AnnotatorRole
    blind: bool = False
    submitted_only: bool = False

    @classmethod
    def of(cls, annotator: Annotator) -> "Viewer":
        # One who never annotates has nothing to be influenced in.
        blind = annotator.blind and annotator.role != "viewer"
        return cls(annotator.id, annotator.name, annotator.role, blind)

    @property
    def may_write(self) -> bool:
        """Whether they have records of their own; others only read."""
        return self.role in ("annotator", "admin")


# Reads what was given away, such as an atlas as files.
PUBLIC = Viewer(0, "", "viewer", submitted_only=True)
# Reads pages that are the same for everyone: without annotations, and without what rests on them.
NO_VIEWER = Viewer(0, "", "viewer", blind=True)


def visible_records(
    session: Session, atlas_id: int, viewer: Viewer, subjects: Iterable[Subject] | None = None
) -> list[Revision]:
    """Current records that the viewer may see: one's own, and of others what is not a draft nor hidden."""
    records = store.current_records(session, atlas_id, subjects)
    opened = _opened(session, atlas_id, viewer)
    return [
        record
        for record in records
        if record.annotator == viewer.name
        or (_is_shown(record, viewer) and (opened is None or record.subject in opened))
    ]


def _is_shown(record: Revision, viewer: Viewer) -> bool:
    """Whether its status lets others see it."""
    if viewer.submitted_only:
        return record.status == "submitted"
    return record.status != "draft" or viewer.role == "admin"


def visible_history(
    session: Session, atlas_id: int, viewer: Viewer, subject: Subject, annotator: str
) -> list[Revision]:
    """Revisions of one record, newest first; of others without drafts. Raises NotFound where it is hidden."""
    owner = get_annotator(session, annotator)
    if owner.name != viewer.name and not is_open(session, atlas_id, viewer, subject):
        raise NotFound(f"no record of {subject.ref} by {annotator[:60]!r} to show")
    revisions = store.history(session, atlas_id, subject, owner.id)
    if owner.name == viewer.name or viewer.role == "admin":
        return revisions
    return [revision for revision in revisions if revision.status != "draft"]


def is_open(session: Session, atlas_id: int, viewer: Viewer, subject: Subject) -> bool:
    """Whether others' records of this subject are shown to the viewer."""
    opened = _opened(session, atlas_id, viewer)
    return opened is None or subject in opened


def hints_are_open(session: Session, atlas_id: int, viewer: Viewer, head: HeadRef) -> bool:
    """Whether what is known of the head is shown: as others' records are, or once it was revealed."""
    if is_open(session, atlas_id, viewer, Subject(head)):
        return True
    return head in revealed_hints(session, atlas_id, viewer.annotator_id)


def is_blind_to(session: Session, atlas_id: int, viewer: Viewer, subject: Subject) -> bool:
    """Whether a save of the viewer now is made without knowledge of the others', nor of published facts."""
    if not viewer.blind:
        return False
    if isinstance(subject.ref, HeadRef):
        return not hints_are_open(session, atlas_id, viewer, subject.ref)
    return not is_open(session, atlas_id, viewer, subject)


def sees_experiment(viewer: Viewer, name: str) -> bool:
    """Whether an experiment may be shown: some rest on roles that annotators gave, which blind viewers wait for."""
    return not needs_roles(name) or not viewer.blind


def check_may_write(viewer: Viewer, annotator: str) -> None:
    """Raises Forbidden: annotators write their own records, admins the consensus and imports too."""
    if not viewer.may_write:
        raise Forbidden(f"{viewer.name!r} may read, not annotate")
    if annotator != viewer.name and viewer.role != "admin":
        whose = "the consensus" if annotator == CONSENSUS else "another annotator's record"
        raise Forbidden(f"only an admin may write {whose}")


def seen_by(session: Session, atlas: str, viewer: Viewer) -> str:
    """Differs whenever something that the viewer may see of the atlas's annotations has changed; one query."""
    newest, revealed, people = store.annotation_state(session, atlas, viewer.annotator_id)
    return repr((viewer, newest, revealed, people))


def _opened(session: Session, atlas_id: int, viewer: Viewer) -> set[Subject] | None:
    """What is open to a blind viewer; None: everything."""
    return store.ever_submitted(session, atlas_id, viewer.annotator_id) if viewer.blind else None
