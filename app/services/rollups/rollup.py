"""Roll-ups of annotations: one annotator's head types, layers, novelty and sensitivity; agreement of all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.domain.annotations.layer_table import LayerRow, layer_table
from app.domain.annotations.novelty import novel_groups
from app.domain.annotations.records import HeadAnnotation, Revision
from app.domain.annotations.tallies import (
    SENSITIVITY_K,
    LeftOut,
    SensitivityRow,
    Tally,
    left_out,
    sensitivity,
    tally_heads,
)
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.rollups.agreement import Agreement, agreement
from app.services.rollups.consistency import SelfConsistency, self_consistency
from app.store.annotators import CONSENSUS
from app.store.atlas.rankings import get_all_rankings


@dataclass(frozen=True)
class RollUp:
    """Totals over one annotator's submitted records of an atlas.

    left_out: submitted heads that the tally does not count. novel: heads with groups that no earlier head has.
    n_surprising: heads that the annotator flagged as surprising.
    """

    annotator: str
    n_heads: int
    n_submitted: int
    tally: Tally
    left_out: tuple[LeftOut, ...]
    layers: tuple[LayerRow, ...]
    novel: dict[HeadRef, tuple[str, ...]]
    n_surprising: int
    sensitivity: tuple[SensitivityRow, ...]


def submitted_heads(records: Iterable[Revision]) -> dict[str, dict[HeadRef, HeadAnnotation]]:
    """Submitted records as {annotator: {head: annotation}}."""
    heads_by_annotator: dict[str, dict[HeadRef, HeadAnnotation]] = {}
    for record in records:
        if record.status == "submitted" and isinstance(record.subject.ref, HeadRef):
            heads_by_annotator.setdefault(record.annotator, {})[record.subject.ref] = record.head
    return heads_by_annotator


def novel_heads(heads: Mapping[HeadRef, HeadAnnotation]) -> dict[HeadRef, tuple[str, ...]]:
    """Heads whose top k features introduce a group that no earlier head has, with these groups."""
    return novel_groups(
        {head: [name for name, _ in annotation.computed.groups] for head, annotation in heads.items()}
    )


def add_up(annotator: str, heads: dict[HeadRef, HeadAnnotation], n_layers: int, n_heads: int) -> RollUp:
    """The roll-up of these annotations, without the sensitivity to k and ranking, which needs the store."""
    return RollUp(
        annotator=annotator,
        n_heads=n_layers * n_heads,
        n_submitted=len(heads),
        tally=tally_heads(heads[head] for head in sorted(heads)),
        left_out=left_out(heads),
        layers=layer_table(heads, n_layers),
        novel=novel_heads(heads),
        n_surprising=sum(annotation.surprising for annotation in heads.values()),
        sensitivity=(),
    )


def with_sensitivity(context: AtlasContext, added: RollUp, heads: Mapping[HeadRef, HeadAnnotation]) -> RollUp:
    """The roll-up with the head types that the same groups would give under other k and rankings."""
    return replace(
        added,
        sensitivity=sensitivity(heads, get_all_rankings(context.session, context.run, max(SENSITIVITY_K))),
    )


def agree(context: AtlasContext, seed: int = 0) -> Agreement:
    """The agreement of all annotators but the consensus, as far as the viewer may see their records."""
    by_annotator = submitted_heads(context.records)
    by_annotator.pop(CONSENSUS, None)
    return agreement(by_annotator, seed)


def consistency(context: AtlasContext) -> tuple[SelfConsistency, ...]:
    """Everyone's consistency with themselves, as far as the viewer may see both of their looks."""
    return self_consistency(submitted_heads(context.records), context.second_looks)
