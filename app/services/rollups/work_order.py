"""The order in which an annotator goes through the heads, by their own choice."""

import math
from collections.abc import Mapping

from app.domain.annotations.records import HeadAnnotation
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext, layers_to_annotate
from app.services.reading.scores import strongest_telling
from app.services.rollups.agreement import final_type
from app.services.rollups.rollup import submitted_heads
from app.store.annotators import CONSENSUS


def in_work_order(context: AtlasContext) -> list[HeadRef]:
    """The heads with features (all heads in an atlas without SAEs) in the viewer's order of work, ties by layer.

    layer: from the first up. score: the largest induction, previous-token or duplicate-token score first. disagreement:
    the most different types from others first, then the most records of others, as far as the viewer may see them.
    """
    heads = context.cache.of_run("by_layer", context.run, lambda: _by_layer(context))
    if context.viewer.order == "score":
        strongest = {head.ref: best[0] for head in context.heads if (best := strongest_telling(head))}
        return sorted(heads, key=lambda head: -strongest.get(head, -math.inf))
    if context.viewer.order == "disagreement":
        others = {
            name: records
            for name, records in submitted_heads(context.records).items()
            if name not in (context.viewer.name, CONSENSUS)
        }
        return sorted(heads, key=lambda head: _disagreement(others, head), reverse=True)
    return list(heads)


def _by_layer(context: AtlasContext) -> tuple[HeadRef, ...]:
    n_heads = context.run.record.model.n_heads
    return tuple(HeadRef(layer, head) for layer in layers_to_annotate(context) for head in range(n_heads))


def _disagreement(others: Mapping[str, Mapping[HeadRef, HeadAnnotation]], head: HeadRef) -> tuple[int, int]:
    records = [of_one[head] for of_one in others.values() if head in of_one]
    types = {head_type for record in records if (head_type := final_type(record))}
    return len(types) if len(types) > 1 else 0, len(records)
