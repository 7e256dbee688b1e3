"""The registry of figures: one function for each kind of experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.domain.experiments.ablation import HEAD_ABLATION, POLYSEMANTICITY
from app.domain.experiments.feature_check import FEATURE_CHECK
from app.domain.experiments.kind import ExperimentKind
from app.domain.experiments.known_heads import KNOWN_HEADS
from app.domain.experiments.long_prefix import LONG_PREFIX_INDUCTION
from app.domain.experiments.rankings import WEIGHT_VS_FVE
from app.domain.experiments.scan import UNIVERSALITY
from app.services.experiments.figures.ablation import ablation_figures, role_figures
from app.services.experiments.figures.feature_check import feature_check_figures
from app.services.experiments.figures.long_prefix import long_prefix_figures
from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.figures.rankings import known_head_figures, ranking_figures, scan_figures
from app.services.experiments.models import Figure

R = TypeVar("R")
Figures = tuple[Figure, ...]


@dataclass(frozen=True)
class KindFigures(Generic[R]):
    """How to draw the results of one kind of experiment.

    draw: gets a result, the results of other atlases to draw beside it, and the options. n_others: the most
    results of other atlases that it draws. n_compared: how many of its figures, from the first, the compare
    page shows; 0 for kinds that rest on annotators' roles.
    """

    kind: ExperimentKind[Any, R]
    draw: Callable[[R, Sequence[R], FigureOptions], Figures]
    n_others: int = 0
    n_compared: int = 0


def _alone(draw: Callable[[R, FigureOptions], Figures]) -> Callable[[R, Sequence[R], FigureOptions], Figures]:
    """Adapt a function that draws one result without those of other atlases."""
    return lambda result, _others, options: draw(result, options)


# Any: the name of a stored experiment does not tell the type of its result.
FIGURES: dict[str, KindFigures[Any]] = {
    figures.kind.name: figures
    for figures in (
        KindFigures(LONG_PREFIX_INDUCTION, _alone(long_prefix_figures), n_compared=4),
        KindFigures(HEAD_ABLATION, _alone(ablation_figures), n_compared=1),
        KindFigures(KNOWN_HEADS, _alone(known_head_figures)),
        KindFigures(WEIGHT_VS_FVE, _alone(ranking_figures), n_compared=1),
        KindFigures(UNIVERSALITY, scan_figures, n_others=3),
        KindFigures(POLYSEMANTICITY, _alone(role_figures)),
        KindFigures(FEATURE_CHECK, _alone(feature_check_figures)),
    )
}
