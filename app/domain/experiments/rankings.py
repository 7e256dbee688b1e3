"""Decoder weight share against FVE, per head: the records of the comparison."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.wording import listed
from app.domain.options import Option
from app.domain.refs import FeatureRef, HeadRef

Definition = Literal["covariance_share", "residual", "r_squared"]


TokenSet = Literal["active", "all"]


DEFINITIONS: tuple[Definition, ...] = ("covariance_share", "residual", "r_squared")


TOKEN_SETS: tuple[TokenSet, ...] = ("active", "all")


@dataclass(frozen=True)
class RankingParameters:
    """Thresholds of rank correlation and top-k overlap; below either, the choice of ranking matters for a head."""

    k: Annotated[int, Option("features in each head's lists", min=1)] = 10
    min_correlation: Annotated[
        float, Option("the choice of ranking matters for a head below this correlation")
    ] = 0.5
    min_overlap: Annotated[int, Option("or if fewer features than this are in both of its lists")] = 6


@dataclass(frozen=True)
class ScatterPoint:
    """One feature, as one head sees it. fve is None where the feature has none under the definition."""

    feature: FeatureRef
    share: float
    fve: float | None


@dataclass(frozen=True)
class HeadShares:
    """The decoder weight share of one head in every feature, in the order of the result's features."""

    head: HeadRef
    shares: tuple[float, ...]


@dataclass(frozen=True)
class RankingAgreement:
    """Share against one definition of FVE, over one head's features."""

    head: HeadRef
    definition: Definition
    tokens: TokenSet
    fve: tuple[float | None, ...]  # in the order of the result's features
    correlation: float | None  # Spearman; None below three features with an FVE
    over_all: bool  # whether the correlation is over all live features, not only over those of the result
    overlap: int  # features in both top-k lists
    n_listed: int  # places in the shorter list
    ranking_matters: bool

    def over_all_features(self, correlation: float | None, p: RankingParameters) -> "RankingAgreement":
        """This agreement with the correlation over every live feature of the head, by which it is then judged."""
        matters = ranking_matters(correlation, self.overlap, self.n_listed, p)
        return replace(self, correlation=correlation, over_all=True, ranking_matters=matters)


def ranking_matters(correlation: float | None, overlap: int, n_listed: int, p: RankingParameters) -> bool:
    """Whether the choice of ranking matters: a low correlation, or too few features in both full lists."""
    low = correlation is not None and correlation < p.min_correlation
    return low or (n_listed == p.k and overlap < p.min_overlap)


@dataclass(frozen=True)
class WeightVsFveResult:
    """All heads of a layer under all definitions."""

    layer: int
    parameters: RankingParameters
    features: tuple[FeatureRef, ...]
    shares: tuple[HeadShares, ...]
    agreements: tuple[RankingAgreement, ...]

    def points(self, agreement: RankingAgreement) -> tuple[ScatterPoint, ...]:
        """The scatter behind one agreement."""
        shares = next(part.shares for part in self.shares if part.head == agreement.head)
        return tuple(map(ScatterPoint, self.features, shares, agreement.fve))

    def top(self, agreement: RankingAgreement) -> tuple[frozenset[FeatureRef], frozenset[FeatureRef]]:
        """The k best features by share and by FVE; of equal ones the lower feature."""
        points, k = self.points(agreement), self.parameters.k
        by_share = sorted(points, key=lambda point: (-point.share, point.feature))
        with_fve = [(point.fve, point.feature) for point in points if point.fve is not None]
        by_fve = sorted(with_fve, key=lambda pair: (-pair[0], pair[1]))
        return frozenset(p.feature for p in by_share[:k]), frozenset(ref for _, ref in by_fve[:k])


def default_agreements(result: WeightVsFveResult) -> dict[HeadRef, RankingAgreement]:
    """The agreement of each head under the default definition of FVE: covariance share over active tokens."""
    return {
        agreement.head: agreement
        for agreement in result.agreements
        if (agreement.definition, agreement.tokens) == ("covariance_share", "active")
    }


def _summarise(result: WeightVsFveResult) -> str:
    matters = [head for head, agreement in default_agreements(result).items() if agreement.ranking_matters]
    return f"the choice of ranking matters for {listed(matters)} of layer {result.layer}"


def _by_head(result: WeightVsFveResult) -> dict[HeadRef, str]:
    return {
        head: f"weight and FVE: ρ {'unknown' if agreement.correlation is None else f'{agreement.correlation:.2f}'}, "
        f"{agreement.overlap} of {agreement.n_listed} features in both lists"
        for head, agreement in default_agreements(result).items()
    }


def _n_tokens(_parameters: RankingParameters, _text: TextSizes) -> int:
    return 0


WEIGHT_VS_FVE = ExperimentKind(
    name="weight-vs-fve",
    purpose="Compare decoder weight share with FVE for each head, from the store alone: no model is loaded.",
    parameters_type=RankingParameters,
    result_type=WeightVsFveResult,
    summarise=_summarise,
    by_head=_by_head,
    n_tokens=_n_tokens,
)
