"""Figures of ablation: all heads of a layer on each task, and one head on the tasks of its roles."""

from app.domain.experiments.ablation import (
    HeadAblationResult,
    ModeResult,
    PolysemanticityResult,
    TaskResult,
)
from app.services.experiments.figures.options import FigureOptions, choices, estimate, mean_and_interval, pick
from app.services.experiments.models import BarChart, DotChart, DotRow, Figure, Series, Value

_MODES = {
    "zero": "z set to zero",
    "mean": "z set to its mean over the task's tokens",
    "resample": "z taken from another prompt",
}


def ablation_figures(result: HeadAblationResult, options: FigureOptions) -> tuple[Figure, ...]:
    """One figure for each task, with all heads of the layer."""
    mode = pick("kind of ablation", options.mode, result.parameters.modes)
    return tuple(_task(result, task, mode) for task in result.tasks)


def _task(result: HeadAblationResult, task: TaskResult, mode: str) -> Figure:
    mode_result = next(each for each in task.modes if each.mode == mode)
    strong = tuple(index for index, head in enumerate(mode_result.heads) if head.stands_out)
    series = Series("", None, tuple(estimate(head.change) for head in mode_result.heads))
    chart = BarChart(
        f"head of layer {result.layer}",
        tuple(str(head.head.head) for head in mode_result.heads),
        (series,),
        strong=strong,
    )
    names = ", ".join(str(mode_result.heads[index].head) for index in strong)
    p = result.parameters
    return Figure(
        name=task.task,
        title=f"{task.task}: {_who(names, len(strong))}",
        measure=f"Change in loss at the targets, nats, {_MODES[mode]}; without ablation {task.clean_loss.mean:.2f}",
        note=f"{task.n_prompts} prompts, {task.n_targets} targets, seed {p.seed}"
        + (f"; {task.n_refused} prompts left out" if task.n_refused else ""),
        columns=("ablation", "head", "change in loss", "lower", "upper", "stands out", "median", "spread"),
        rows=tuple(row for each in task.modes for row in _rows(each)),
        charts=(("", chart),),
        choices=choices("mode", p.modes, mode),
    )


def _who(names: str, n: int) -> str:
    return "no head stands out" if n == 0 else f"{names} {'stands' if n == 1 else 'stand'} out"


def _rows(result: ModeResult) -> list[tuple[Value, ...]]:
    return [
        (
            result.mode,
            str(head.head),
            *mean_and_interval(head.change),
            "yes" if head.stands_out else "no",
            result.median,
            result.spread,
        )
        for head in result.heads
    ]


def role_figures(result: PolysemanticityResult, _options: FigureOptions) -> tuple[Figure, ...]:
    """One figure: how much ablating the head changes the loss on the task of each of its roles."""
    dots: list[DotRow] = []
    rows: list[tuple[Value, ...]] = []
    for role in result.roles:
        for mode, change in zip(result.parameters.modes, role.changes, strict=True):
            dots.append(
                DotRow(f"{role.role}: {mode}", estimate(change.change), 0 if change.stands_out else 1)
            )
            stands = "yes" if change.stands_out else "no"
            rows.append(
                (role.role, role.task.task, mode, *mean_and_interval(change.change), stands, change.change.n)
            )
    high = max((change.change.upper for role in result.roles for change in role.changes), default=1.0)
    untested = f"; no task for: {', '.join(result.untested)}" if result.untested else ""
    return (
        Figure(
            name="roles",
            title=f"Ablating {result.head} on the task of each of its roles",
            measure="Change in loss at the targets, nats; solid: stands out from its layer",
            note=f"seed {result.parameters.seed}{untested}",
            columns=("role", "task", "ablation", "change in loss", "lower", "upper", "stands out", "n"),
            rows=tuple(rows),
            charts=(("", DotChart(tuple(dots), 0.0, max(high, 0.05), 0.0)),),
        ),
    )
