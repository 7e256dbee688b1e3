"""Published facts about a model's heads, as the annotator `published`, and a comparison with them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from app.domain.annotations.head_types import HeadType
from app.domain.annotations.records import HeadAnnotation, Subject
from app.domain.records import ModelRecord
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.rollups.agreement import jaccard
from app.store.annotations import ever_submitted
from app.store.revealed_hints import revealed_hints


@dataclass(frozen=True)
class PublishedHead:
    """Published facts about one head.

    known: whether earlier work had found the head's role too. caveat: how the source contradicts itself about
    it.
    """

    head: HeadRef
    annotation: HeadAnnotation
    known: bool
    caveat: str


@dataclass(frozen=True)
class PublishedFacts:
    """A published source: its facts by head, the totals that it states, and its contradictions."""

    source: str
    heads: dict[HeadRef, PublishedHead]
    totals: dict[str, int]
    contradictions: tuple[str, ...]


@dataclass(frozen=True)
class HeadComparison:
    """An annotator's record of one head beside the published facts."""

    head: Annotated[HeadRef, "The head"]
    roles: Annotated[tuple[str, ...], "The annotator's roles"]
    published_roles: Annotated[tuple[str, ...], "The published ones"]
    role_overlap: Annotated[float | None, "Roles in common over all roles; null where there are none"]
    head_type: Annotated[HeadType | None, "The annotator's settled type; null where there is none"]
    published_type: Annotated[HeadType | None, "The published type; null where none is given"]
    same_type: Annotated[bool | None, "Whether they are the same; null where one is missing"]
    known: Annotated[bool, "Whether earlier work had found the head too"]
    caveat: Annotated[str, "Where the source contradicts itself"]


@dataclass(frozen=True)
class Comparison:
    """Heads that are both annotated and published, and totals over them.

    A role counts as recovered if annotator and source share at least one role of the head.
    """

    heads: Annotated[tuple[HeadComparison, ...], "Head by head, layers upwards"]
    n_published: Annotated[int, "Published heads that are visible"]
    n_role_shared: Annotated[int, "Heads with at least one role in common"]
    n_role_compared: Annotated[int, "Heads compared by role: those with published roles"]
    n_same_type: Annotated[int, "Heads of the same type"]
    n_type_compared: Annotated[int, "Heads where both give a type"]
    n_known_recovered: Annotated[int, "Heads known from earlier work with at least one role in common"]
    n_known_compared: Annotated[int, "Heads known from earlier work that were compared"]


@cache
def _load(name: str) -> tuple[frozenset[str], tuple[int, int], PublishedFacts]:
    whole: dict[str, Any] = json.loads((files("app") / "embedded" / "published" / name).read_text("utf-8"))
    heads = {HeadRef.parse(item["head"]): item for item in whole["heads"]}
    published = PublishedFacts(
        source=whole["source"],
        heads={
            head: PublishedHead(head, _annotation(item), item["known"], item["caveat"])
            for head, item in heads.items()
        },
        totals=whole["totals"],
        contradictions=tuple(whole["contradictions"]),
    )
    return frozenset(whole["names"]), (whole["n_layers"], whole["n_heads"]), published


def _annotation(item: Mapping[str, Any]) -> HeadAnnotation:
    return HeadAnnotation(
        roles=tuple(item["roles"]),
        override=item["head_type"],
        override_reason=item["basis"],
        notes=item["note"],
    )


def published_for(model: ModelRecord) -> PublishedFacts | None:
    """All published facts about the model, ignoring blind mode; None without any. Pages use `visible_published`."""
    names, shape, published = _load("gpt2-small.json")
    fits = model.name.lower() in names and (model.n_layers, model.n_heads) == shape
    return published if fits else None


def visible_published(context: AtlasContext) -> dict[HeadRef, PublishedHead]:
    """Published facts that the viewer may see; in blind mode, those of submitted or revealed heads.

    Nothing of a head that they look at for the second time.
    """
    published = published_for(context.run.record.model)
    if published is None:
        return {}
    look = context.viewer.second_look
    if not context.viewer.blind:
        return {head: facts for head, facts in published.heads.items() if head != look}
    submitted = ever_submitted(context.session, context.atlas_id, context.viewer.annotator_id)
    revealed = revealed_hints(context.session, context.atlas_id, context.viewer.annotator_id)
    return {
        head: published_head
        for head, published_head in published.heads.items()
        if head != look and (Subject(head) in submitted or head in revealed)
    }


def compare(
    annotations: Mapping[HeadRef, HeadAnnotation], published: Mapping[HeadRef, PublishedHead]
) -> Comparison:
    """A comparison of annotations with published facts, over the heads that have both."""
    rows = tuple(
        _compare(annotations[head], published[head]) for head in sorted(annotations.keys() & published.keys())
    )
    by_role = [row for row in rows if row.role_overlap is not None and row.published_roles]
    by_type = [row for row in rows if row.same_type is not None]
    return Comparison(
        heads=rows,
        n_published=len(published),
        n_role_shared=sum(bool(row.role_overlap) for row in by_role),
        n_role_compared=len(by_role),
        n_same_type=sum(bool(row.same_type) for row in by_type),
        n_type_compared=len(by_type),
        n_known_recovered=sum(bool(row.role_overlap) for row in by_role if row.known),
        n_known_compared=sum(row.known for row in by_role),
    )


def _compare(annotation: HeadAnnotation, published: PublishedHead) -> HeadComparison:
    theirs = published.annotation
    head_type = None if annotation.provisional else annotation.head_type
    return HeadComparison(
        head=published.head,
        roles=annotation.roles,
        published_roles=theirs.roles,
        role_overlap=jaccard(set(annotation.roles), set(theirs.roles)),
        head_type=head_type,
        published_type=theirs.override,
        same_type=None if head_type is None or theirs.override is None else head_type == theirs.override,
        known=published.known,
        caveat=published.caveat,
    )
