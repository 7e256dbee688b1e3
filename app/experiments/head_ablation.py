"""Change of the loss on task families when a head is ablated, for each head of a layer, with outliers."""

from collections.abc import Sequence

import numpy as np

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.ablation import (
    AblationParameters,
    HeadAblationResult,
    HeadChange,
    Mode,
    ModeResult,
    TaskResult,
)
from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, mean_interval
from app.domain.refs import HeadRef
from app.experiments.ablation import LayerZ, ablated_losses, clean_losses
from app.experiments.checks import check_heads
from app.experiments.progress import PLAIN, Batching
from app.experiments.prompts import Prompts

_MAD_TO_SD = 1.4826  # of a normal distribution


def head_ablation(
    model: ExperimentModel,
    layer: int,
    tasks: Sequence[Prompts],
    parameters: AblationParameters | None = None,
    batching: Batching = PLAIN,
) -> HeadAblationResult:
    """The change in loss from ablating each head of a layer, one at a time, on each task.

    Raises InvalidExperiment.
    """
    p = parameters or AblationParameters()
    check_heads(model, [HeadRef(layer, 0)])
    if not tasks:
        raise InvalidExperiment("no tasks were given")
    results = tuple(_task(model, layer, prompts, p, batching) for prompts in tasks)
    return HeadAblationResult(model.record.name, layer, p, results)


def _task(
    model: ExperimentModel,
    layer: int,
    prompts: Prompts,
    p: AblationParameters,
    batching: Batching,
) -> TaskResult:
    heads = [HeadRef(layer, head) for head in range(model.record.n_heads)]
    n_runs = 2 + len(heads) * sum(p.n_draws if mode == "resample" else 1 for mode in p.modes)
    batching = batching.as_one(prompts.name, n_runs * len(prompts))
    clean = clean_losses(model, prompts, batching)
    z = LayerZ(model, prompts, layer, batching)
    modes: list[ModeResult] = []
    for mode in p.modes:
        changes: dict[HeadRef, Interval] = {}
        for head in heads:
            stage = f"{prompts.name}, {mode} ablation of {head}"
            replacements = z.edits(head.head, mode, p.seed, p.n_draws)
            losses = ablated_losses(model, prompts, replacements, stage, batching)
            changes[head] = _interval(losses - clean, p)
        modes.append(flag(mode, changes, p))
    return TaskResult(
        task=prompts.name,
        n_prompts=len(prompts),
        n_targets=int(prompts.targets.sum()),
        n_refused=prompts.n_refused,
        clean_loss=_interval(clean, p),
        modes=tuple(modes),
    )


def flag(mode: Mode, changes: dict[HeadRef, Interval], p: AblationParameters) -> ModeResult:
    """The heads of a layer with those flagged whose change stands out against the layer's spread.

    A head stands out if its mean change exceeds both the median by min_spreads spreads (scaled median
    absolute deviations) and min_change, and its interval lies above 0.
    """
    means = np.array([change.mean for change in changes.values()])
    median = float(np.median(means))
    spread = _MAD_TO_SD * float(np.median(np.abs(means - median)))
    bar = max(median + p.min_spreads * spread, p.min_change)
    heads = tuple(
        HeadChange(head, change, stands_out=bool(change.mean > bar and change.lower > 0))
        for head, change in changes.items()
    )
    return ModeResult(mode, median, spread, heads)


def _interval(values: np.ndarray, p: AblationParameters) -> Interval:
    interval = mean_interval(values, p.resampling)
    if interval is None:
        raise ValueError("no prompts")
    return interval
