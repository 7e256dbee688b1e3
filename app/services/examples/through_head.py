"""Stored examples as seen through one head, or with all heads summed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.records import Examples
from app.errors import NotFound


class SumNotStored(NotFound):
    """The run stored the DFA of single heads only, so the sum over heads cannot be shown."""


@dataclass(frozen=True)
class ExamplesThroughHead:
    """Columns over n examples, as seen through one head or all heads summed.

    Sources are sorted by DFA: slot 0 holds the source with the largest. Unused slots hold source -1 and DFA
    0.
    """

    source: NDArray[np.int16]  # [n sources]
    dfa: NDArray[np.float32]  # [n sources]
    contribution: NDArray[np.floating]  # [n] what the head, or all of them, add to the pre-activation
    prefix_length: NDArray[np.int16]  # [n]
    prefix_length_fuzzy: NDArray[np.int16]  # [n]


def view_through(examples: Examples, head: int | None) -> ExamplesThroughHead:
    """The examples as seen through one head, or with None all heads summed.

    Raises SumNotStored if the run did not store the sum.
    """
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
        raise SumNotStored(
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
