"""A feature against a proxy: the records of the comparison."""

from dataclasses import dataclass
from typing import Annotated

from app.domain.experiments.intervals import Interval
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.options import Seed
from app.domain.options import Option
from app.domain.refs import FeatureRef, HeadRef


@dataclass(frozen=True)
class FeatureCheckParameters:
    """How many intervals of activation the tokens are sorted into."""

    n_intervals: Annotated[int, Option("intervals of activation", min=1)] = 10
    seed: Seed = 0


@dataclass(frozen=True)
class ActivationInterval:
    """Tokens whose activation lies in (lower, upper]; the first holds those where the feature is silent.

    proxy_share: of the interval's tokens, those that the proxy selects (its precision). sensitivity: of all tokens
    that the proxy selects, those with an activation above lower. specificity: of all others, those at most lower.
    """

    lower: float
    upper: float
    n_tokens: int
    n_proxy: int
    proxy_share: Interval | None
    sensitivity: Interval | None
    specificity: Interval | None


@dataclass(frozen=True)
class FeatureCheckResult:
    """One feature against one proxy."""

    feature: FeatureRef
    proxy: str
    n_tokens: int
    n_active: int
    n_proxy: int
    intervals: tuple[ActivationInterval, ...]


def _summarise(result: FeatureCheckResult) -> str:
    top = result.intervals[-1].proxy_share
    share = "unknown" if top is None else f"{top.mean:.2f}"
    return f"{result.feature} against {result.proxy}: in the strongest interval the proxy selects {share} of the tokens"


def _by_head(_result: FeatureCheckResult) -> dict[HeadRef, str]:
    """No sentences: the result is of a feature."""
    return {}


def _n_tokens(_parameters: FeatureCheckParameters, text: TextSizes) -> int:
    return text.n_tokens


FEATURE_CHECK = ExperimentKind(
    name="feature-check",
    purpose="Measure a feature's specificity and sensitivity for a proxy, over intervals of activation.",
    parameters_type=FeatureCheckParameters,
    result_type=FeatureCheckResult,
    summarise=_summarise,
    by_head=_by_head,
    n_tokens=_n_tokens,
    n_sequences=256,
)
