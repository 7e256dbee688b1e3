"""Documents of sequences that were not tokenised: two data sets, and a document that ends within each sequence."""

import numpy as np
from numpy.typing import NDArray

from app.domain.documents import DocumentStart

DATASETS = ["prose.jsonl", "python-docs"]


def documents_of(sequences: NDArray[np.integer]) -> list[list[DocumentStart]]:
    """In every sequence, one document up to its middle and another from there on; those of python-docs have names."""
    middle = max(2, sequences.shape[1] // 2)
    return [
        [
            DocumentStart(1, 0, index + 1),
            DocumentStart(middle, 1, index + 1, f"topic-{index % 7}"),
        ]
        for index in range(len(sequences))
    ]
