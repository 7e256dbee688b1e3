"""What a feature's page cites in one's record of a head: the feature as a whole, or one of its examples."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.annotations.records import HeadAnnotation, InvalidAnnotation, Revision, Subject
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.annotations.edits import SubmittedForm, apply_action
from app.services.annotations.models import Citations
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import visible_records
from app.store.atlas.features import get_feature

Action = Literal["cite", "drop", "undo"]
_MAX_DIGITS = 9


@dataclass(frozen=True)
class CitationChange:
    """What to do with a place of a feature, or (undo) with the record's version of that number."""

    action: Action
    place: str


def parse_change(text: str) -> CitationChange:
    """`cite:12:34`, `drop:12:34`, `cite:` for the feature, `undo:5`. Raises InvalidAnnotation for other texts."""
    action, _, place = text.partition(":")
    numbers = place.split(":") if place else []
    plain = all(part.isascii() and part.isdecimal() and len(part) <= _MAX_DIGITS for part in numbers)
    if action in ("cite", "drop") and plain and len(numbers) in (0, 2):
        return CitationChange("cite" if action == "cite" else "drop", place)
    if action == "undo" and plain and len(numbers) == 1:
        return CitationChange("undo", place)
    raise InvalidAnnotation("what is cited is a feature or one of its examples")


def citations(context: AtlasContext, feature: FeatureRef, head: HeadRef | None) -> Citations | None:
    """Citations of the viewer; None if they may not write."""
    if not context.viewer.may_write:
        return None
    if head is None:
        return Citations(None, {})
    return _of(_own(context, head), feature, head)


def apply_change(
    context: AtlasContext,
    feature: FeatureRef,
    head: HeadRef,
    change: CitationChange,
    now: datetime,
) -> Citations:
    """A new version of the viewer's record of the head, as every change of it is.

    Raises NotFound for an example that is not stored, Conflict for an undo of what is not the newest version, and
    what `services.annotations.save` does.
    """
    _check(context, feature, head, change)
    record = _own(context, head)
    before = _of(record, feature, head)
    sent = SubmittedForm(
        content=record.head if record else HeadAnnotation(),
        base_version=int(change.place) if change.action == "undo" else before.version,
        status=record.status if record else "draft",
        action={"cite": "cite", "drop": "drop_evidence", "undo": "undo"}[change.action],
        argument=_argument(change, feature, before),
    )
    apply_action(context, head, sent, now)
    return _of(_own(context, head), feature, head)


def _own(context: AtlasContext, head: HeadRef) -> Revision | None:
    # Read anew each time, for it is asked before a change and after it.
    records = visible_records(context.session, context.atlas_id, context.viewer, [Subject(head)])
    return next((record for record in records if record.annotator == context.viewer.name), None)


def _argument(change: CitationChange, feature: FeatureRef, before: Citations) -> str:
    if change.action == "cite":
        return f"example:{target(feature, change.place)}"
    return str(before.numbers.get(change.place, 0)) if change.action == "drop" else ""


def target(feature: FeatureRef, place: str) -> str:
    """How evidence names a place of a feature."""
    return f"{feature}:{place}" if place else str(feature)


def _of(record: Revision | None, feature: FeatureRef, head: HeadRef) -> Citations:
    if record is None:
        return Citations(head, {})
    numbers: dict[str, int] = {}
    for number, link in enumerate(record.head.evidence, 1):
        name, _, place = link.target.partition(":")
        if link.kind == "example" and name == str(feature):
            numbers.setdefault(place, number)
    return Citations(head, numbers, record.version)


def _check(context: AtlasContext, feature: FeatureRef, head: HeadRef, change: CitationChange) -> None:
    if head.layer != feature.layer:
        raise NotFound(f"{head} does not write {feature}: they are of different layers")
    examples = get_feature(context.session, context.run, feature).examples
    if change.action != "cite" or not change.place:
        return
    sequence, position = map(int, change.place.split(":"))
    stored = (
        examples is not None and ((examples.sequence == sequence) & (examples.position == position)).any()
    )
    if not stored:
        raise NotFound(f"{feature} has no example at {change.place}")
