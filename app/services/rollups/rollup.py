"""What one annotator's records add up to: head types, layers, novelty, sensitivity, and agreement of all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.domain.annotations.layer_table import LayerRow, layer_table
from app.domain.annotations.novelty import novel_groups
from app.domain.annotations.records import HeadAnnotation, Revision
from app.domain.annotations.tallies import SENSITIVITY_K, SensitivityRow, Tally, sensitivity, tally_heads
from app.domain.refs import HeadRef
from app.services.reading.context import AtlasContext
from app.services.rollups.agreement import Agreement, agreement
from app.store.annotators import CONSENSUS
from app.store.atlas.rankings import get_all_rankings


@dataclass(frozen=True)
class RollUp:
    """One annotator's submitted records of an atlas, added up.

    novel: heads with groups that no earlier head has. n_surprising: heads that the annotator flagged by hand.
    """

    annotator: str
    n_heads: int
    n_submitted: int
    tally: Tally
    layers: tuple[LayerRow, ...]
    novel: dict[HeadRef, tuple[str, ...]]
    n_surprising: int
    sensitivity: tuple[SensitivityRow, ...]


def submitted_heads(records: Iterable[Revision]) -> dict[str, dict[HeadRef, HeadAnnotation]]:
    """Annotator -> head -> what they say, of submitted records."""
    found: dict[str, dict[HeadRef, HeadAnnotation]] = {}
    for record in records:
        if record.status == "submitted" and isinstance(record.subject.ref, HeadRef):
            found.setdefault(record.annotator, {})[record.subject.ref] = record.head
    return found


def novel_heads(heads: Mapping[HeadRef, HeadAnnotation]) -> dict[HeadRef, tuple[str, ...]]:
    """Heads that introduce a group no earlier head has, with these groups, among the top k features."""
    return novel_groups({head: [name for name, _ in found.computed.groups] for head, found in heads.items()})


def add_up(annotator: str, heads: dict[HeadRef, HeadAnnotation], n_layers: int, n_heads: int) -> RollUp:
    """Everything that needs no store. Sensitivity to k and ranking is left empty."""
    return RollUp(
        annotator=annotator,
        n_heads=n_layers * n_heads,
        n_submitted=len(heads),
        tally=tally_heads(heads[head] for head in sorted(heads)),
        layers=layer_table(heads, n_layers),
        novel=novel_heads(heads),
        n_surprising=sum(found.surprising for found in heads.values()),
        sensitivity=(),
    )


def with_sensitivity(context: AtlasContext, added: RollUp, heads: Mapping[HeadRef, HeadAnnotation]) -> RollUp:
    """The roll-up of these heads with the tallies that their groups give under other k and rankings."""
    return replace(
        added,
        sensitivity=sensitivity(heads, get_all_rankings(context.session, context.run, max(SENSITIVITY_K))),
    )


def roll_up(context: AtlasContext, annotator: str) -> RollUp:
    """The annotator's records as far as the viewer may see them."""
    heads = submitted_heads(context.records).get(annotator, {})
    model = context.run.record.model
    return with_sensitivity(context, add_up(annotator, heads, model.n_layers, model.n_heads), heads)


def agree(context: AtlasContext, seed: int = 0) -> Agreement:
    """Agreement of the annotators as far as the viewer may see their records; the consensus is no annotator."""
    by_annotator = submitted_heads(context.records)
    by_annotator.pop(CONSENSUS, None)
    return agreement(by_annotator, seed)
