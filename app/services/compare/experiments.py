"""Experiments on the compare page: one of each kind, drawn for the compared heads alone."""

from collections.abc import Sequence

from app.domain.experiments.records import StoredExperiment
from app.domain.refs import HeadRef
from app.errors import InvalidStore
from app.services.compare.models import ComparedExperiment
from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.figures.registry import FIGURES
from app.services.experiments.models import Figure
from app.services.experiments.page import figures_of, summarise_experiment
from app.services.reading.context import AtlasContext
from app.store.experiments import findings_of, get_experiment


def compared_experiments(context: AtlasContext, heads: Sequence[HeadRef]) -> tuple[ComparedExperiment, ...]:
    """For each kind, the experiment with findings about most of these heads, the newest in a tie."""
    heads_by_experiment: dict[str, dict[str, set[HeadRef]]] = {
        name: {} for name, figures in FIGURES.items() if figures.n_compared
    }
    for finding in findings_of(context.session, context.run.slug, *heads):
        if finding.experiment.request.name in heads_by_experiment:
            heads_by_experiment[finding.experiment.request.name].setdefault(finding.experiment.id, set()).add(
                finding.head
            )
    chosen = [
        max(by_id.items(), key=lambda item: len(item[1])) for by_id in heads_by_experiment.values() if by_id
    ]
    return tuple(
        _compared(
            get_experiment(context.session, context.run.slug, experiment_id),
            tuple(head for head in heads if head in with_findings),
        )
        for experiment_id, with_findings in chosen
    )


def _compared(stored: StoredExperiment, heads: tuple[HeadRef, ...]) -> ComparedExperiment:
    return ComparedExperiment(summarise_experiment(stored), heads, _figures(stored, heads))


def _figures(stored: StoredExperiment, heads: tuple[HeadRef, ...]) -> tuple[Figure, ...]:
    """The figures of this kind that show heads side by side.

    Empty for a result of another version: its finding is still shown, and its own page reports the error.
    """
    try:
        figures = figures_of(stored, FigureOptions(heads=heads))
    except InvalidStore:
        return ()
    return figures[: FIGURES[stored.kind.name].n_compared]
