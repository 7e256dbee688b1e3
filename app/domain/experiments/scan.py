"""The scan over every head of a model: its parameters and results."""

from dataclasses import dataclass, field

from app.domain.experiments.intervals import Resampling
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.long_prefix import Kind, Verdict, VerdictRule, verdicts_in_words
from app.domain.experiments.options import Examples, MaxPrefix, RandomLength, Seed
from app.domain.refs import HeadRef


@dataclass(frozen=True)
class ScanParameters:
    """Sizes and thresholds of the scan: as in the long-prefix experiment, on random tokens alone."""

    max_prefix: MaxPrefix = 4
    n_examples: Examples = 60
    length: RandomLength = 32
    seed: Seed = 0
    rule: VerdictRule = field(default_factory=VerdictRule)
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True)
class HeadPoint:
    """One head in the scatter: x its attention at a prefix of one, y what longer prefixes add to it."""

    head: HeadRef
    induction_score: float
    long_prefix_gain: float
    verdict: Verdict


@dataclass(frozen=True)
class UniversalityResult:
    """Every head of one model. Several results stand side by side."""

    model: str
    n_layers: int
    n_heads: int
    parameters: ScanParameters
    heads: tuple[HeadPoint, ...]

    def named(self, kind: Kind) -> tuple[HeadRef, ...]:
        """The heads with a verdict, layers upward."""
        return tuple(point.head for point in self.heads if point.verdict.kind == kind)


def _summarise(result: UniversalityResult) -> str:
    return verdicts_in_words({point.head: point.verdict.kind for point in result.heads})


def _by_head(result: UniversalityResult) -> dict[HeadRef, str]:
    return {
        point.head: f"{point.verdict.kind}: {point.verdict.reason}"
        for point in result.heads
        if point.verdict.kind != "neither"
    }


def _n_tokens(parameters: ScanParameters, _text: TextSizes) -> int:
    return parameters.n_examples * (parameters.max_prefix + 1) * parameters.length


UNIVERSALITY = ExperimentKind(
    name="universality",
    purpose="Find the long-prefix and standard induction heads among all heads of a model.",
    parameters_type=ScanParameters,
    result_type=UniversalityResult,
    summarise=_summarise,
    by_head=_by_head,
    n_tokens=_n_tokens,
)
