"""Rules of who may see which annotation; every reader of annotations goes through `visible_records`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from app.domain.annotations.records import Revision, Subject
from app.domain.experiments.registry import needs_roles
from app.domain.refs import FeatureRef, HeadRef
from app.errors import AppError, NotFound
from app.store import annotations as store
from app.store.annotators import CONSENSUS, Annotator, AnnotatorRole, find_annotator
from app.store.database.engine import Session
from app.store.histories import WHOLE, HistoryPart, HistoryRange, read_history
from app.store.revealed_hints import revealed_hints

# How an annotator goes through the heads; pages say it in these words.
WorkOrder = Literal["layer", "score", "disagreement"]
WORK_ORDERS: tuple[WorkOrder, ...] = get_args(WorkOrder)


class Forbidden(AppError):
    """The annotator's role does not allow the action."""

    status_code = 403


@dataclass(frozen=True)
class Viewer:
    """The person who is looking, with role and restrictions.

    blind: others' records of a head are hidden until the viewer has submitted their own. submitted_only:
    others' skipped and unsure records are hidden too, as in published files. order: in which the viewer is
    led through the heads. again: whether a tenth of the submitted heads comes up for a second look. second_look: the
    head whose second look is open; nothing else of that head is shown meanwhile.
    """

    annotator_id: int
    name: str
    role: AnnotatorRole
    blind: bool = False
    submitted_only: bool = False
    order: WorkOrder = "layer"
    again: bool = False
    second_look: HeadRef | None = None

    @classmethod
    def of(cls, annotator: Annotator) -> "Viewer":
        # One who never annotates has nothing to be influenced in.
        blind = annotator.blind and annotator.role != "viewer"
        return cls(annotator.id, annotator.name, annotator.role, blind)

    @property
    def without_id(self) -> "Viewer":
        """The viewer by what they may see: the id is 0 before their first save, which changes nothing of that."""
        return replace(self, annotator_id=0)

    def subject_of(self, head: HeadRef) -> Subject:
        """The subject of the viewer's record of the head that is open to them now."""
        return Subject(head, second=self.looks_again_at(head))

    def looks_again_at(self, ref: HeadRef | FeatureRef) -> bool:
        """Whether the second look that is open is at this head."""
        return ref == self.second_look

    @property
    def may_write(self) -> bool:
        """Whether the viewer has records of their own; other viewers only read."""
        return self.role in ("annotator", "admin")


# Reads what was given away, such as an atlas as files.
PUBLIC = Viewer(0, "", "viewer", submitted_only=True)
# Reads pages that are the same for everyone: without annotations, and without what rests on them.
NO_VIEWER = Viewer(0, "", "viewer", blind=True)


def visible_records(
    session: Session, atlas_id: int, viewer: Viewer, subjects: Iterable[Subject] | None = None
) -> list[Revision]:
    """Current records that the viewer may see: their own, and others' that are neither drafts nor hidden."""
    records = store.current_records(session, atlas_id, subjects)
    return visible_of(records, viewer, opened_subjects(session, atlas_id, viewer))


def visible_of(records: Iterable[Revision], viewer: Viewer, opened: set[Subject] | None) -> list[Revision]:
    """The records that the viewer may see, second looks among them. opened: the result of `opened_subjects`.

    Others' second looks at a head are visible where their records of it are. While the viewer takes a second look at a
    head, that look is all that is visible of it.
    """

    def is_visible(record: Revision) -> bool:
        own = record.annotator == viewer.name
        if viewer.looks_again_at(record.subject.ref):
            return own and record.subject.second
        return own or (
            _is_shown(record, viewer) and (opened is None or _first_look(record.subject) in opened)
        )

    return [record for record in records if is_visible(record)]


def _first_look(subject: Subject) -> Subject:
    """The subject of the first look at the head; any other subject as it is."""
    return replace(subject, second=False) if subject.second else subject


def _is_shown(record: Revision, viewer: Viewer) -> bool:
    """Whether the record's status lets other people see it."""
    if viewer.submitted_only:
        return record.status == "submitted"
    return record.status != "draft" or viewer.role == "admin"


def visible_history(
    session: Session,
    atlas_id: int,
    viewer: Viewer,
    subject: Subject,
    annotator: str,
    part: HistoryRange = WHOLE,
) -> HistoryPart:
    """Revisions of one record, newest first; drafts of others are left out, except for admins.

    Raises NotFound if the record is hidden from the viewer, and in the same words if there is none, so that nobody
    learns who has an account.
    """
    nothing = NotFound(f"no record of {subject.ref} by {annotator[:60]!r} to show")
    owner = find_annotator(session, annotator)
    if owner is None:
        raise nothing
    own = owner.name == viewer.name
    if not own and not is_open(session, atlas_id, viewer, subject):
        raise nothing
    history = read_history(session, atlas_id, subject, owner.id, part, own or viewer.role == "admin")
    if not own and not history.total:
        raise nothing
    return history


def is_open(session: Session, atlas_id: int, viewer: Viewer, subject: Subject) -> bool:
    """Whether others' records of this subject are shown to the viewer; never while the viewer looks a second time."""
    if viewer.looks_again_at(subject.ref):
        return False
    opened = opened_subjects(session, atlas_id, viewer)
    return opened is None or subject in opened


def hints_are_open(session: Session, atlas_id: int, viewer: Viewer, head: HeadRef) -> bool:
    """Whether published facts about the head are shown: if others' records are, or if they were revealed."""
    if viewer.looks_again_at(head):
        return False
    if is_open(session, atlas_id, viewer, Subject(head)):
        return True
    return head in revealed_hints(session, atlas_id, viewer.annotator_id)


def is_blind_to(session: Session, atlas_id: int, viewer: Viewer, subject: Subject) -> bool:
    """Whether a save made now is independent of others' records and of published facts."""
    if not viewer.blind or subject.second:  # they have been open since the first look
        return False
    if isinstance(subject.ref, HeadRef):
        return not hints_are_open(session, atlas_id, viewer, subject.ref)
    return not is_open(session, atlas_id, viewer, subject)


def sees_experiment(viewer: Viewer, name: str) -> bool:
    """Whether the viewer may see the experiment. Blind viewers may not if it rests on annotators' roles."""
    return not needs_roles(name) or not viewer.blind


def check_may_see_experiment(viewer: Viewer, name: str) -> None:
    """Raise Forbidden if a blind viewer would see what others said."""
    if not sees_experiment(viewer, name):
        raise Forbidden(f"{name} uses the roles that others gave to heads, which blind annotators do not see")


def check_may_write(viewer: Viewer, annotator: str) -> None:
    """Raise Forbidden if the viewer may not write the record of `annotator`.

    Annotators write their own records; admins may also write the consensus and import others' records.
    """
    if not viewer.may_write:
        raise Forbidden(f"{viewer.name!r} may read, not annotate")
    if annotator != viewer.name and viewer.role != "admin":
        whose = "the consensus" if annotator == CONSENSUS else "another annotator's record"
        raise Forbidden(f"only an admin may write {whose}")


def opened_subjects(session: Session, atlas_id: int, viewer: Viewer) -> set[Subject] | None:
    """The subjects that are open to a blind viewer; None if all are."""
    return store.ever_submitted(session, atlas_id, viewer.annotator_id) if viewer.blind else None
