"""What a head attends to: what a sink is, and the record of a head's attention over the corpus. No I/O.

Axes: `n` examples of a head, `sources` kept source positions, `context` distances, `tokens` listed tokens.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from app.domain.numbers import Axes
from app.domain.records import ExampleGroup
from app.domain.refs import HeadRef

# A source is a sink of a head, in its sequence, if later destinations give it on average more than this.
# Source: Gu et al. 2024, "When Attention Sink Emerges in Language Models", arXiv 2410.10781 (threshold 0.3).
SINK_ATTENTION = 0.3
_DESTINATIONS_ONE_IN, _FEWEST_DESTINATIONS = 8, 4
N_PICTURES = 10  # examples of a head whose pattern is stored, all of the strongest
PICTURE_POOL = 20  # strongest destinations from which these examples are picked
PICTURE_ROWS, PICTURE_COLUMNS = 32, 128  # destinations and sources of it, the example's being the last
PICTURE_LEVELS = 255  # a weight of 1 in a picture
N_LISTED_TOKENS = 20
N_SHOWN_EXAMPLES = 10  # of a group, on a page; those of the strongest group are what an annotator labels
N_LISTED_SINKS = 8


def fewest_destinations(context_size: int) -> int:
    """How many later destinations a sink needs, and how many earlier positions a destination needs to be ranked.

    An eighth of the context: with fewer, one strong weight makes a mean above SINK_ATTENTION, and a softmax over few
    positions is large without meaning.
    """
    return max(_FEWEST_DESTINATIONS, context_size // _DESTINATIONS_ONE_IN)


@dataclass(frozen=True)
class TokenShares:
    """Tokens with their share of a head's attention on what is no sink, beside their share of the corpus."""

    token_id: Annotated[NDArray[np.int32], Axes("tokens")]
    share: Annotated[NDArray[np.float64], Axes("tokens")]
    base_rate: Annotated[NDArray[np.float64], Axes("tokens")]


@dataclass(frozen=True)
class SinkTokens:
    """The tokens that are sinks of a head, most attended first."""

    token_id: Annotated[NDArray[np.int32], Axes("sinks")]
    n: Annotated[NDArray[np.int64], Axes("sinks")]  # sinks of this token, at most one per position
    share: Annotated[NDArray[np.float64], Axes("sinks")]  # of all of the head's attention


@dataclass(frozen=True)
class AttentionExamples:
    """Destinations of one head, as columns, and the sources that are no sinks which it weighs most.

    weight.sum(-1) + rest + sink = 1: all that the destination's attention goes to. Unused slots have source -1.
    """

    sequence: Annotated[NDArray[np.int32], Axes("n")]
    position: Annotated[NDArray[np.int32], Axes("n")]
    source: Annotated[NDArray[np.int16], Axes("n sources")]
    weight: Annotated[NDArray[np.float32], Axes("n sources")]
    rest: Annotated[NDArray[np.float32], Axes("n")]
    sink: Annotated[NDArray[np.float32], Axes("n")]
    n_alike: Annotated[NDArray[np.int64], Axes("n")] | None = None  # None: published before it was kept

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True)
class HeadAttention:
    """What the store keeps of one head's attention over a run's corpus."""

    ref: HeadRef
    n_destinations: int  # counted: no BOS, no padding
    sink_share: float  # of the head's attention
    first_sink_share: float  # the part of it on position 0
    sinks: SinkTokens
    distance: Annotated[NDArray[np.float64], Axes("context")]  # share of attention on what is no sink
    read_from: TokenShares  # by the token of the destination
    read: TokenShares  # by the token of the source
    groups: tuple[ExampleGroup, ...]
    examples: AttentionExamples
    pictures: Annotated[NDArray[np.uint8], Axes("pictures rows columns")]  # of the first examples
