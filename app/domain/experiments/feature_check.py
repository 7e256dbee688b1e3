"""A feature against a proxy: the records of the comparison."""

from dataclasses import dataclass

from app.domain.experiments.intervals import Interval
from app.domain.refs import FeatureRef


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
