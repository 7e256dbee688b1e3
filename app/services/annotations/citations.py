"""Citing a feature, or one of its examples, as evidence in the viewer's record of a head."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.domain.annotations.records import HeadAnnotation, InvalidAnnotation, Revision
from app.domain.refs import FeatureRef, HeadRef
from app.errors import NotFound
from app.services.annotations.citation_models import Citations
from app.services.annotations.edits import SubmittedForm, apply_action
from app.services.annotations.head_records import own_record
from app.services.annotations.sae_of_record import on_this_sae
from app.services.reading.context import AtlasContext
from app.services.reading.visibility import check_may_see_experiment, visible_records
from app.store.atlas.features import get_feature
from app.store.experiments import get_experiment

Action = Literal["cite", "drop", "undo"]
_MAX_DIGITS = 9


@dataclass(frozen=True)
class CitationChange:
    """One change of the citations: cite a place of the feature, drop its citation, or undo a version.

    place: `sequence:position` of an example, empty for the feature as a whole; for `undo` the record's
    version.
    """

    action: Action
    place: str


def parse_change(text: str) -> CitationChange:
    """Parse a form value: `cite:12:34`, `drop:12:34`, `cite:` for the whole feature, or `undo:5`.

    Raises InvalidAnnotation for any other text.
    """
    action, _, place = text.partition(":")
    numbers = place.split(":") if place else []
    plain = all(part.isascii() and part.isdecimal() and len(part) <= _MAX_DIGITS for part in numbers)
    if action in ("cite", "drop") and plain and len(numbers) in (0, 2):
        return CitationChange("cite" if action == "cite" else "drop", place)
    if action == "undo" and plain and len(numbers) == 1:
        return CitationChange("undo", place)
    raise InvalidAnnotation("only a feature or one of its examples can be cited here")


def citations(context: AtlasContext, feature: FeatureRef, head: HeadRef | None) -> Citations | None:
    """The viewer's citations of the feature in their record of the head; None if they may not write."""
    if not context.viewer.may_write:
        return None
    if head is None:
        return Citations(None, {}, look=context.viewer.second_look)
    return _of(context, own_record(context, head), feature, head)


def apply_change(
    context: AtlasContext,
    feature: FeatureRef,
    head: HeadRef,
    change: CitationChange,
    now: datetime,
) -> Citations:
    """Save the change as a new version of the viewer's record of the head; return the citations after it.

    Raises NotFound for an example that is not stored, Conflict if the version to undo is not the newest, and
    whatever `services.annotations.save` raises.
    """
    _check(context, feature, head, change)
    record = _own(context, head)
    before = _of(context, record, feature, head)
    action = {"cite": "cite", "drop": "drop_evidence", "undo": "undo"}[change.action]
    form = _form(context, record, action, _argument(change, feature, before))
    if change.action == "undo":
        form = replace(form, base_version=int(change.place))
    apply_action(context, head, form, now)
    return _of(context, _own(context, head), feature, head)


def cite_experiment(context: AtlasContext, head: HeadRef, experiment_id: str, now: datetime) -> None:
    """Cite an experiment in the viewer's record of the head, once.

    Raises NotFound for an experiment or head that is not there, Forbidden for an experiment that the viewer may not
    see, and whatever `services.annotations.save` raises.
    """
    check_may_see_experiment(
        context.viewer, get_experiment(context.session, context.run.slug, experiment_id).request.name
    )
    form = _form(context, _own(context, head), "cite", f"experiment:{experiment_id}")
    apply_action(context, head, form, now)


def _form(context: AtlasContext, record: Revision | None, action: str, argument: str) -> SubmittedForm:
    """The head's form as its page would send it with this action and nothing edited."""
    return SubmittedForm(
        content=on_this_sae(context.run, record) if record else HeadAnnotation(),
        base_version=record.version if record else 0,
        status=record.status if record else "draft",
        action=action,
        argument=argument,
    )


def _own(context: AtlasContext, head: HeadRef) -> Revision | None:
    # Read anew each time, for it is asked before a change and after it.
    records = visible_records(
        context.session, context.atlas_id, context.viewer, [context.viewer.subject_of(head)]
    )
    return next((record for record in records if record.annotator == context.viewer.name), None)


def _argument(change: CitationChange, feature: FeatureRef, before: Citations) -> str:
    if change.action == "cite":
        return f"{'example' if change.place else 'feature'}:{target(feature, change.place)}"
    return str(before.numbers.get(change.place, 0)) if change.action == "drop" else ""


def target(feature: FeatureRef, place: str) -> str:
    """The target of an evidence link: `L5F7` for a feature, `L5F7:sequence:position` for an example."""
    return f"{feature}:{place}" if place else str(feature)


def _of(context: AtlasContext, record: Revision | None, feature: FeatureRef, head: HeadRef) -> Citations:
    if record is None:
        return Citations(head, {}, look=context.viewer.second_look)
    numbers: dict[str, int] = {}
    for number, link in enumerate(on_this_sae(context.run, record).evidence, 1):
        name, _, place = link.target.partition(":")
        # Features were cited as examples without a place before they had a kind.
        if link.kind in ("example", "feature") and name == str(feature):
            numbers.setdefault(place, number)
    return Citations(head, numbers, record.version, context.viewer.second_look)


def _check(context: AtlasContext, feature: FeatureRef, head: HeadRef, change: CitationChange) -> None:
    if head.layer != feature.layer:
        raise NotFound(f"{head} does not write {feature}: they are in different layers")
    examples = get_feature(context.session, context.run, feature).examples
    if change.action != "cite" or not change.place:
        return
    sequence, position = map(int, change.place.split(":"))
    stored = (
        examples is not None and ((examples.sequence == sequence) & (examples.position == position)).any()
    )
    if not stored:
        raise NotFound(f"{feature} has no example at {change.place}")
