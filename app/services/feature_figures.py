"""What the stored examples of a feature have in common, seen through one head."""

import numpy as np

from app.domain.records import FeatureRecord
from app.services.feature_models import DISTANCES, LONGEST_PREFIX, ExampleFigures

N_STRONGEST = 10


def example_figures(record: FeatureRecord, head: int) -> ExampleFigures:
    """Counts over all stored examples whose head has a source; contributions over the strongest of the top group."""
    examples = record.examples
    if examples is None or not len(examples):
        return ExampleFigures(0, (), (), ())
    source = examples.source[:, head, 0].astype(np.int64)
    known = source >= 0
    prefixes = np.minimum(examples.prefix_length[known, head], LONGEST_PREFIX)
    # A head that reads the firing token itself reads from no distance; it counts in the first bin.
    back = np.maximum(examples.position[known] - source[known], 1)
    bins = np.searchsorted(np.array(DISTANCES), np.minimum(back, DISTANCES[-1]))
    strongest = examples.head_contribution[record.groups[0].start : record.groups[0].stop][:N_STRONGEST]
    return ExampleFigures(
        n=int(known.sum()),
        prefix_lengths=tuple(np.bincount(prefixes, minlength=LONGEST_PREFIX + 1).tolist()),
        distances=tuple(np.bincount(bins, minlength=len(DISTANCES)).tolist()),
        contributions=tuple(tuple(map(float, row)) for row in strongest.T),
    )
