"""Figures over a feature's stored examples, seen through one head or all heads summed."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.domain.evidence import PrefixLengths, count_evidence
from app.domain.records import FeatureRecord
from app.services.examples.from_records import without_bos
from app.services.examples.through_head import view_through
from app.services.features.figure_models import DISTANCES, LONGEST_PREFIX, ExampleFigures

N_STRONGEST = 10


def example_figures(record: FeatureRecord, head: int | None) -> ExampleFigures:
    """Distances and prefix lengths over all stored examples that have a source, and contributions by head.

    The contributions are those of the strongest examples of the top group.
    """
    examples = record.examples
    if examples is None or not len(examples):
        return ExampleFigures(0, (), (), ())
    view = view_through(examples, head)
    source = view.source[:, 0].astype(np.int64)
    has_source = source >= 0
    prefixes = np.minimum(view.prefix_length[has_source], LONGEST_PREFIX)
    # A head that reads the firing token itself reads from no distance; it counts in the first bin.
    back = np.maximum(examples.position[has_source] - source[has_source], 1)
    bins = np.searchsorted(np.array(DISTANCES), np.minimum(back, DISTANCES[-1]))
    strongest = examples.head_contribution[record.groups[0].start : record.groups[0].stop][:N_STRONGEST]
    return ExampleFigures(
        n=int(has_source.sum()),
        prefix_lengths=tuple(np.bincount(prefixes, minlength=LONGEST_PREFIX + 1).tolist()),
        distances=tuple(np.bincount(bins, minlength=len(DISTANCES)).tolist()),
        contributions=tuple(tuple(map(float, row)) for row in strongest.T),
    )


def summed_evidence(
    record: FeatureRecord, sequences: Mapping[int, NDArray[np.int32]], bos_id: int
) -> dict[str, float]:
    """The share of the top examples that show each behaviour when all heads are summed.

    The behaviours are detected as a run does for single heads. sequences: the token ids of each top example's
    sequence, by index.
    """
    examples = record.examples
    if examples is None or not record.groups:
        return {}
    view, top = view_through(examples, None), slice(record.groups[0].start, record.groups[0].stop)
    promoted = record.promoted.token_id[record.promoted.logit > 0].tolist()
    counts = count_evidence(
        np.stack([sequences[int(index)] for index in examples.sequence[top]]),
        examples.position[top],
        view.source[top, :1],
        PrefixLengths(view.prefix_length[top, None], view.prefix_length_fuzzy[top, None]),
        promoted,
        bos_id,
    )
    of_sum = without_bos(record, None, {kind: int(count[0]) for kind, count in counts.items()})
    return {kind: count / (top.stop - top.start) for kind, count in of_sum.items()}
