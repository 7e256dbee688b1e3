"""Search in annotations: only records that the viewer may see are searched."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.names import normalised
from app.domain.annotations.records import HeadAnnotation, Status
from app.domain.annotations.roles import current_name
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.rollups.published import visible_published
from app.services.search.query import OPEN, LabelTerm

PUBLISHED = "published"


@dataclass(frozen=True)
class HeadLabels:
    """One annotator's labels of a head."""

    annotator: Annotated[str, "Who says it; `published` is the published reference of the model"]
    status: Annotated[Status, "Whether the record is submitted, or a draft, unsure or skipped"]
    head_type: Annotated[HeadType | None, "The head type; null where nothing is labelled"]
    roles: Annotated[tuple[str, ...], "Roles of the head"]
    groups: Annotated[tuple[str, ...], "Groups of its features, largest first"]


Labels = Mapping[HeadRef, tuple[HeadLabels, ...]]


def visible_labels(context: AtlasContext) -> Labels:
    """The visible records of each head, with published facts as the annotator `published`."""
    labels: dict[HeadRef, tuple[HeadLabels, ...]] = {}
    for record in context.records:
        ref = record.subject.ref
        if isinstance(ref, HeadRef):
            labels[ref] = (*labels.get(ref, ()), _labels(record.annotator, record.status, record.head))
    for ref, published in visible_published(context).items():
        labels[ref] = (*labels.get(ref, ()), _labels(PUBLISHED, "submitted", published.annotation))
    return labels


def _labels(annotator: str, status: Status, content: HeadAnnotation) -> HeadLabels:
    return HeadLabels(
        annotator,
        status,
        content.head_type,
        tuple(current_name(role) for role in content.roles),
        tuple(name for name, _ in content.computed.groups),
    )


def matching(labels: Labels, terms: Sequence[LabelTerm], heads: Iterable[HeadRef]) -> Labels:
    """Heads with at least one record that fulfils all terms, and those records.

    The term `status:open` matches heads without any record.
    """
    if LabelTerm("status", OPEN) in terms:
        rest = [term for term in terms if term != LabelTerm("status", OPEN)]
        return {} if rest else {head: () for head in heads if head not in labels}
    matches = {
        head: tuple(record for record in labels.get(head, ()) if all(_holds(record, term) for term in terms))
        for head in heads
    }
    return {head: records for head, records in matches.items() if records}


def _holds(record: HeadLabels, term: LabelTerm) -> bool:
    match term.field:
        case "role":
            return term.value in record.roles
        case "type":
            return term.value == record.head_type
        case "status":
            return term.value == record.status
        case "by":
            return term.value == normalised(record.annotator)
        case _:
            return any(term.value in normalised(group) for group in record.groups)
