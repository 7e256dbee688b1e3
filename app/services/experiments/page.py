"""The pages of experiments: the list, and one experiment with its figures."""

import json
from collections.abc import Sequence

from app.domain.experiments.ablation import HEAD_ABLATION
from app.domain.experiments.records import StoredExperiment
from app.domain.experiments.registry import has_seed
from app.domain.records import Json
from app.domain.refs import HeadRef
from app.errors import NotFound
from app.services.atlas.page import jobs_under_way
from app.services.examples.from_records import summarise_run
from app.services.experiments.figures.options import FigureOptions
from app.services.experiments.figures.registry import FIGURES
from app.services.experiments.models import (
    ExperimentPage,
    ExperimentsPage,
    ExperimentSummary,
    Figure,
    NamedHead,
    Parameter,
    ProposedExperiment,
)
from app.services.experiments.runnable import ablation_command, runnable_experiments
from app.services.reading.cells import csv_text
from app.services.reading.context import AtlasContext, check_head
from app.services.reading.visibility import check_may_see_experiment, sees_experiment
from app.store import experiments as store


def experiments_page(context: AtlasContext, ablate: HeadRef | None = None) -> ExperimentsPage:
    """The experiments of an atlas that the viewer may see, newest first.

    ablate: a head to propose an ablation of. Raises NotFound if the model does not have it.
    """
    stored = store.list_experiments(context.session, context.run.slug)
    listed = [each for each in stored if sees_experiment(context.viewer, each.request.name)]
    proposed = None if ablate is None else ProposedExperiment(ablate, ablation_command(context.run, ablate))
    return ExperimentsPage(
        context.run.slug,
        summarise_run(context.run.record),
        tuple(map(summarise_experiment, listed)),
        proposed,
        runnable_experiments(context, listed),
    )


def newest_ablation(context: AtlasContext, head: HeadRef) -> str | None:
    """The id of the newest finished ablation of the head; None without one.

    Raises NotFound for a head that the model does not have.
    """
    check_head(context.run, head)
    experiments = (
        finding.experiment for finding in store.findings_of(context.session, context.run.slug, head)
    )
    return next((each.id for each in experiments if each.request.name == HEAD_ABLATION.name), None)


def experiment_page(context: AtlasContext, experiment_id: str, options: FigureOptions) -> ExperimentPage:
    """The page of one experiment.

    Raises NotFound for an unknown experiment or option, and Forbidden if a blind annotator would see what
    others said.
    """
    stored = store.get_experiment(context.session, context.run.slug, experiment_id)
    check_may_see_experiment(context.viewer, stored.request.name)
    heads, figures = (), ()
    if stored.state == "done":
        by_head = stored.kind.by_head(stored.record)
        heads = tuple(NamedHead(head, sentence) for head, sentence in sorted(by_head.items()))
        figures = figures_of(stored, options, _others(context, stored))
    running = jobs_under_way(context.session) if stored.state == "running" else ()
    return ExperimentPage(
        model=context.run.slug,
        run=summarise_run(context.run.record),
        experiment=summarise_experiment(stored),
        parameters=tuple(Parameter(key, _text(value)) for key, value in stored.request.parameters.items()),
        heads=heads,
        figures=figures,
        jobs=tuple(job for job in running if job.fingerprint == stored.id),
        query=options.query(),
        may_cite=context.viewer.may_write,
        cited_in=_cited_in(context, stored.id),
    )


def _cited_in(context: AtlasContext, experiment_id: str) -> tuple[HeadRef, ...]:
    """The heads whose record of the viewer cites the experiment."""
    if not context.viewer.may_write:
        return ()
    own = (record for record in context.records if record.annotator == context.viewer.name)
    return tuple(
        record.subject.ref
        for record in own
        if isinstance(record.subject.ref, HeadRef)
        and any((link.kind, link.target) == ("experiment", experiment_id) for link in record.head.evidence)
    )


def _others(context: AtlasContext, stored: StoredExperiment) -> list[StoredExperiment]:
    """The newest experiments of the same kind in other atlases, to be drawn beside this one."""
    limit = FIGURES[stored.kind.name].n_others
    return store.newest_elsewhere(context.session, context.run.slug, stored.kind.name, limit) if limit else []


def figures_of(
    stored: StoredExperiment, options: FigureOptions, others: Sequence[StoredExperiment] = ()
) -> tuple[Figure, ...]:
    """The figures of a finished experiment, with the results of other atlases beside it.

    Raises NotFound for an option that the experiment does not have, InvalidStore for a result of another
    version.
    """
    results = [each.record for each in (stored, *others)]
    return FIGURES[stored.kind.name].draw(results[0], results[1:], options)


def figure_of(page: ExperimentPage, name: str | None) -> Figure:
    """The figure of this name, by default the first. Raises NotFound if there is none."""
    for figure in page.figures:
        if name is None or figure.name == name:
            return figure
    names = ", ".join(figure.name for figure in page.figures) or "no figure until it is done"
    raise NotFound(f"the experiment has no such figure; it has {names}")


def figure_csv(figure: Figure) -> bytes:
    """The figure's table as CSV, escaped so that no spreadsheet reads a cell as a formula."""
    return csv_text((figure.columns, *figure.rows)).encode()


def summarise_experiment(stored: StoredExperiment) -> ExperimentSummary:
    request = stored.request
    return ExperimentSummary(
        id=stored.id,
        name=request.name,
        state=stored.state,
        finding=stored.finding,
        message=stored.message,
        created_at=stored.created_at.strftime("%Y-%m-%d %H:%M"),
        seconds=stored.seconds,
        seed=request.seed if has_seed(request.name) else None,
        software=request.software,
        model_name=request.model_name,
        model_revision=request.model_revision,
        processing=request.processing,
        against_run=request.run,
    )


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)
