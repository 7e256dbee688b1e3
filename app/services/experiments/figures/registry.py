"""How the results of each kind of experiment are drawn: one entry a kind."""

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
    """The figures of one kind of experiment.

    draw: of a result, with the results of other atlases beside it. n_others: how many of those at most. n_compared:
    how many of the figures, from the first, the compare page shows; only of kinds that do not rest on roles.
    """

    kind: ExperimentKind[Any, R]
    draw: Callable[[R, Sequence[R], FigureOptions], Figures]
    n_others: int = 0
    n_compared: int = 0


def _alone(draw: Callable[[R, FigureOptions], Figures]) -> Callable[[R, Sequence[R], FigureOptions], Figures]:
    """A function that draws a result without those of other atlases."""
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
