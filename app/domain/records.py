"""Frozen records that the job writes and the server reads. numpy only; no I/O.

Axes: `n` examples of one feature, `heads` heads of a layer, `k` kept tokens, `sources` kept source positions.
Positions and sequences count from 0 in the corpus as tokenised, BOS at position 0.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from app.domain.numbers import Axes, ByHead, FeatureNumbers, HeadNumbers, HeadPartNumbers
from app.domain.refs import FeatureRef, HeadRef

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Ranking = Literal["decoder_weight", "fve"]
Processing = Literal["raw", "processed"]  # of a model's weights: as released, or folded and centred
RANKINGS: tuple[Ranking, ...] = ("decoder_weight", "fve")
N_SOURCES = 8  # source positions kept per example and head
N_TOP_EXAMPLES = 20
N_INTERVALS = 5
N_INTERVAL_EXAMPLES = 10
# From how many different texts the examples of a group are picked, so that no two are alike.
N_TOP_POOL, N_INTERVAL_POOL = 40, 15


@dataclass(frozen=True)
class Histogram:
    """Counts between consecutive edges; len(edges) = len(counts) + 1."""

    edges: Annotated[NDArray[np.float64], Axes("edges")]
    counts: Annotated[NDArray[np.int64], Axes("bins")]


@dataclass(frozen=True)
class TokenLogits:
    """Tokens and the logit a unit of feature activation adds, strongest first on the last axis."""

    token_id: NDArray[np.int32]
    logit: NDArray[np.float32]


@dataclass(frozen=True)
class FveByHead:
    """Fraction of the pre-activation's variance explained by each head, three definitions."""

    covariance_share: Annotated[NDArray[np.float64], Axes("heads")]
    residual: Annotated[NDArray[np.float64], Axes("heads")]
    r_squared: Annotated[NDArray[np.float64], Axes("heads")]


@dataclass(frozen=True)
class Evidence:
    """How many of a feature's top examples show each behaviour through each head. Keys: evidence.KINDS."""

    n_examples: int
    counts: dict[str, Annotated[NDArray[np.int64], Axes("heads")]]  # by kind


@dataclass(frozen=True)
class ExampleGroup:
    """One activation group. `top`, or an interval of activation with a uniform sample of its tokens.

    `share_of_active` is n_tokens over the feature's active tokens (not all tokens).
    Examples of the group are rows start:stop of the feature's Examples: the first, no two alike, of a pool of n_pool
    different texts. Where they are fewer than N_TOP_EXAMPLES or N_INTERVAL_EXAMPLES, all others of it are alike to one.
    """

    name: str
    lower: float
    upper: float
    n_tokens: int
    share_of_active: float
    start: int
    stop: int
    n_pool: int = 0  # 0: published before examples that repeat each other were shown once


@dataclass(frozen=True)
class SummedSources:
    """DFA by source with the heads summed, as columns over n examples.

    The N_SOURCES largest sources, as Examples keeps them for one head, and the sum over all others, so that
    dfa.sum(-1) + rest + bias = pre_activation.
    """

    source: Annotated[NDArray[np.int16], Axes("n sources")]  # -1 in unused slots
    dfa: Annotated[NDArray[np.float32], Axes("n sources")]  # 0 in unused slots
    rest: Annotated[NDArray[np.float32], Axes("n")]
    prefix_length: Annotated[NDArray[np.int16], Axes("n")]  # exact match before slot 0's source
    prefix_length_fuzzy: Annotated[NDArray[np.int16], Axes("n")]


@dataclass(frozen=True)
class Examples:
    """The stored examples of one feature, as columns over n examples.

    `dfa` holds, per head, the N_SOURCES largest sources (slot 0 the signed maximum, the others in any order) and
    `dfa_rest` the sum over all other sources, so that dfa.sum(-1) + dfa_rest = head_contribution and
    head_contribution.sum(-1) + bias = pre_activation. Unused slots have source -1 and dfa 0.
    """

    sequence: Annotated[NDArray[np.int32], Axes("n")]
    position: Annotated[NDArray[np.int32], Axes("n")]
    activation: Annotated[NDArray[np.float32], Axes("n")]
    pre_activation: Annotated[NDArray[np.float32], Axes("n")]  # from the encode path
    bias: Annotated[NDArray[np.float32], Axes("n")]
    residual: Annotated[NDArray[np.float32], Axes("n")]  # |sum DFA + bias - p| / sum |DFA|
    head_contribution: Annotated[NDArray[np.float32], Axes("n heads")]
    source: Annotated[NDArray[np.int16], Axes("n heads sources")]
    dfa: Annotated[NDArray[np.float32], Axes("n heads sources")]
    dfa_rest: Annotated[NDArray[np.float32], Axes("n heads")]
    prefix_length: Annotated[NDArray[np.int16], Axes("n heads")]  # exact match before slot 0's source
    prefix_length_fuzzy: Annotated[NDArray[np.int16], Axes("n heads")]
    sequence_activations: Annotated[NDArray[np.float16], Axes("n context")]  # over its whole sequence
    summed: SummedSources | None = None  # None: published before it was kept
    n_alike: Annotated[NDArray[np.int64], Axes("n")] | None = None  # places it stands for; None: likewise

    def __len__(self) -> int:
        return len(self.sequence)


@dataclass(frozen=True)
class SimilarFeatures:
    """Stored features of the layer with the most similar decoder rows, largest cosine first."""

    feature_index: Annotated[NDArray[np.int64], Axes("k")]
    cosine: Annotated[NDArray[np.float32], Axes("k")]


@dataclass(frozen=True)
class FeatureRecord(FeatureNumbers, HeadPartNumbers[ByHead]):
    """Everything the store keeps about one feature. `examples` is None where they were not asked for."""

    ref: FeatureRef
    fve_active: FveByHead | None  # None: fewer than two active tokens, or no variance
    fve_all: FveByHead | None  # None too where the SAE scales its input per token
    promoted: Annotated[TokenLogits, Axes("top")]
    suppressed: Annotated[TokenLogits, Axes("top")]
    head_promoted: Annotated[TokenLogits, Axes("heads top_of_head")]  # token -1: not stored of this head
    head_suppressed: Annotated[TokenLogits, Axes("heads top_of_head")]
    logit_histogram: Histogram
    activation_histogram: Histogram
    evidence: Evidence
    groups: tuple[ExampleGroup, ...]
    examples: Examples | None = None
    similar: SimilarFeatures | None = None  # None: published before they were computed

    @property
    def largest_head(self) -> HeadRef:
        """The head with the largest decoder weight share; the lowest index of equals."""
        return HeadRef(self.ref.layer, int(np.argmax(self.decoder_weight_share)))


@dataclass(frozen=True)
class HeadRecord(HeadNumbers):
    """One head's scores, and its numbers about the features of its layer."""

    ref: HeadRef
    scores: dict[str, float]


@dataclass(frozen=True)
class RankedFeature:
    """A feature's place in one head's ranking. Ranks count from 1; other_rank: in the other ranking."""

    ref: FeatureRef
    rank: int
    value: float
    other_rank: int


@dataclass(frozen=True)
class HeadRanking:
    """The best features of one head under one ranking, best first."""

    head: HeadRef
    ranking: Ranking
    features: tuple[RankedFeature, ...]


@dataclass(frozen=True)
class SaeRecord:
    """One SAE of a run: where it came from and how well it fits the run's corpus."""

    layer: int
    name: str  # as given: release/id, Neuronpedia id, or folder name
    checksum: str  # sha256 of its weights
    architecture: str
    d_in: int
    d_sae: int
    hook_name: str
    processing: Processing
    normalize_activations: str
    l0: float  # mean active features per counted token
    fvu: float  # fraction of the variance of z unexplained
    n_dead: int  # no active token
    n_rare: int  # active, on fewer than min_active tokens
    neuronpedia_id: str | None = None


@dataclass(frozen=True)
class ModelRecord:
    """The language model of an atlas."""

    name: str
    revision: str
    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_head: int
    d_model: int
    d_vocab: int
    bos_token_id: int

    def has_head(self, head: HeadRef) -> bool:
        """Whether the model has a head of this layer and index."""
        return 0 <= head.layer < self.n_layers and 0 <= head.head < self.n_heads


@dataclass(frozen=True)
class RunRecord:
    """One precompute run. Nothing in it depends on the clock, the machine's load or the executor."""

    fingerprint: str
    model: ModelRecord
    corpus: str
    context_size: int
    n_sequences: int
    n_tokens: int  # counted: BOS and padding excluded
    plan: dict[str, Json] = field(default_factory=dict[str, Json])
    saes: tuple[SaeRecord, ...] = ()

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets of its text; none in runs from before they were kept."""
        names = self.plan.get("dataset")
        return tuple(map(str, names)) if isinstance(names, list) else ()


@dataclass(frozen=True)
class AtlasRecord:
    """One atlas: a slug, and its live run if there is one."""

    slug: str
    run: RunRecord | None


@dataclass(frozen=True)
class RunReport:
    """How a run went: everything about it that depends on the clock or the machine. Times are aware."""

    created_at: datetime
    finished_at: datetime
    seconds: float  # of work, over all attempts
    executor: str
    workers: int
    peak_memory_bytes: int
    details: dict[str, Json] = field(default_factory=dict[str, Json])


# The stages of a precompute job, in their order.
PREPARE, COMPUTE, EXAMPLES, PUBLISH = JOB_STAGES = ("prepare", "compute", "examples", "publish")


@dataclass(frozen=True)
class JobProgress:
    """How far one stage of a job is. `total` is None while unknown, `rate` before the first unit is done.

    fingerprint: of the run that it makes; empty while the job is prepared.
    """

    fingerprint: str
    stage: str
    done: int
    total: int | None
    unit: str
    rate: float | None  # units per second
    updated_at: datetime
    state: Literal["running", "done", "failed"] = "running"
