"""The long-prefix induction experiment: its parameters, verdicts and results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.options import Examples, MaxPrefix, RandomLength, Seed
from app.domain.experiments.wording import listed
from app.domain.options import Option
from app.domain.refs import HeadRef

Kind = Literal["long-prefix", "standard", "neither"]


@dataclass(frozen=True)
class VerdictRule:
    """The thresholds of the rule."""

    min_gain: Annotated[
        float, Option("attention that a repeated span must add; below it the verdict is neither")
    ] = 0.1
    max_one_share: Annotated[
        float,
        Option(
            "a head is long-prefix if its gain at one token, as a share of its gain at longer prefixes, is below this"
        ),
    ] = 0.5
    min_examples: int = 20


@dataclass(frozen=True)
class Verdict:
    """What a head is, why, and the intervals that say so."""

    kind: Kind
    reason: str
    one_gain: Interval
    long_gain: Interval
    one_share: Interval
    before: Interval | None  # natural examples; None where there were none
    after: Interval | None
    kept: Interval | None  # None where it is not known


@dataclass(frozen=True)
class PrefixDistribution:
    """How many attended pairs have each matched prefix length; the last place also holds all longer ones."""

    threshold: float
    n_pairs: int
    exact: tuple[int, ...]
    fuzzy: tuple[int, ...]
    induction_share: Interval | None  # pairs with an exact prefix, of all pairs
    long_share: Interval | None  # pairs with an exact prefix of 2 or more, of those with one


@dataclass(frozen=True)
class LongPrefixParameters:
    """Sizes and thresholds of the experiment; the defaults of the thresholds are the published ones."""

    max_prefix: MaxPrefix = 9
    n_examples: Examples = 60
    n_logit_examples: int = 16  # at most so many of them, for logit attribution, which runs the whole model
    length: RandomLength = 48
    threshold: Annotated[float, Option("smallest attention in natural text that counts as attending")] = 0.3
    sweep: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    max_corrupted: Annotated[int, Option("natural examples to corrupt", min=1, flag="--n-corrupted")] = 100
    n_draws: int = 3
    n_shuffles: int = 20
    seed: Seed = 0
    rule: VerdictRule = field(default_factory=VerdictRule)
    resampling: Resampling = field(default_factory=Resampling)

    def __post_init__(self) -> None:
        """Check the numbers. Raises InvalidExperiment where one cannot be used."""
        object.__setattr__(self, "n_logit_examples", min(self.n_logit_examples, self.n_examples))
        counts = (self.n_logit_examples, self.max_corrupted, self.n_draws)
        if min(counts) < 1 or self.n_shuffles < 0:
            raise InvalidExperiment(f"counts {counts} of examples and draws cannot be used")
        if not all(0 < threshold < 1 for threshold in (self.threshold, *self.sweep)):
            raise InvalidExperiment("attention thresholds lie between 0 and 1")


@dataclass(frozen=True)
class LongPrefixHead:
    """One head's results. Tuples by prefix length begin at 0, where nothing repeats."""

    head: HeadRef
    verdict: Verdict
    control: float | None  # share of label-shuffled controls not called neither
    attention_by_prefix: tuple[Interval, ...]
    logit_by_prefix: tuple[Interval, ...]  # DLA to the correct next token
    natural: tuple[PrefixDistribution, ...]  # at the sweep's thresholds; empty without text


@dataclass(frozen=True)
class LongPrefixResult:
    """The results of a set of heads, with what they share."""

    model: str
    parameters: LongPrefixParameters
    heads: tuple[LongPrefixHead, ...]
    correct_logit_by_prefix: tuple[Interval, ...]  # above the vocabulary's mean
    worst_logit_error: float  # of the identity: all parts sum to the logit
    n_text_tokens: int
    n_corrupted: int


def verdicts_in_words(verdicts: Mapping[HeadRef, Kind]) -> str:
    """The names of the long-prefix and of the standard induction heads, and how many heads are neither."""
    parts = [
        f"{kind}: {listed(head for head, verdict in verdicts.items() if verdict == kind)}"
        for kind in ("long-prefix", "standard")
    ]
    n_neither = sum(verdict == "neither" for verdict in verdicts.values())
    return f"{'; '.join(parts)}; neither: {n_neither} of {len(verdicts)}"


def _summarise(result: LongPrefixResult) -> str:
    return verdicts_in_words({head.head: head.verdict.kind for head in result.heads})


def _n_tokens(parameters: LongPrefixParameters, text: TextSizes) -> int:
    of_random_tokens = parameters.n_examples + parameters.n_logit_examples
    random = of_random_tokens * (parameters.max_prefix + 1) * parameters.length
    corrupted = parameters.max_corrupted * (parameters.n_draws + 1) * text.context_size
    return random + text.n_tokens + corrupted


def _by_head(result: LongPrefixResult) -> dict[HeadRef, str]:
    return {head.head: f"{head.verdict.kind}: {head.verdict.reason}" for head in result.heads}


LONG_PREFIX_INDUCTION = ExperimentKind(
    name="long-prefix-induction",
    purpose="Test whether heads need one matching token to attend by induction, or two or more.",
    parameters_type=LongPrefixParameters,
    result_type=LongPrefixResult,
    summarise=_summarise,
    by_head=_by_head,
    n_tokens=_n_tokens,
    n_sequences=128,
)
