"""The stored examples as they are seen through one head, or with all heads summed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.records import Examples
from app.errors import NotFound


class SumNotKept(NotFound):
    """All heads were asked for of a run that kept each head alone."""


@dataclass(frozen=True)
class ExamplesThroughHead:
    """Columns over n examples. Slot 0 has the source with the largest DFA; unused slots have -1 and 0."""

    source: NDArray[np.int16]  # [n sources]
    dfa: NDArray[np.float32]  # [n sources]
    contribution: NDArray[np.floating]  # [n] what the head, or all of them, add to the pre-activation
    prefix_length: NDArray[np.int16]  # [n]
    prefix_length_fuzzy: NDArray[np.int16]  # [n]


def view_through(examples: Examples, head: int | None) -> ExamplesThroughHead:
    """The examples as seen through one head; None: all heads summed. Raises SumNotKept where a run has no sums."""
    if head is not None:
        return ExamplesThroughHead(
            examples.source[:, head],
            examples.dfa[:, head],
            examples.head_contribution[:, head],
            examples.prefix_length[:, head],
            examples.prefix_length_fuzzy[:, head],
        )
    summed = examples.summed
    if summed is None:
        raise SumNotKept(
            "This run was published before DFA was kept for all heads together: choose one head, "
            "or precompute the atlas again."
        )
    return ExamplesThroughHead(
        summed.source,
        summed.dfa,
        examples.head_contribution.sum(axis=1, dtype=np.float64),
        summed.prefix_length,
        summed.prefix_length_fuzzy,
    )
