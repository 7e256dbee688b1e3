"""Change in loss when each head of a layer is ablated, on task families; heads that stand out are flagged."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from app.adapters.interventions import ExperimentModel
from app.domain.refs import HeadRef
from app.experiments.ablation import MODES, LayerZ, Mode, ablated_losses, clean_losses
from app.experiments.errors import InvalidExperiment, check_heads
from app.experiments.intervals import Interval, Resampling, mean_interval
from app.experiments.progress import PLAIN, Batching
from app.experiments.prompts import Prompts

NAME = "head-ablation"
_MAD_TO_SD = 1.4826  # of a normal distribution


@dataclass(frozen=True)
class AblationParameters:
    """A head stands out if its change is min_spreads spreads above the layer's median, at least min_change nats,
    and its interval lies above 0. The spread is 1.4826 times the median absolute deviation over the heads."""

    modes: tuple[Mode, ...] = MODES
    n_draws: int = 3  # of resampling
    min_spreads: float = 3.5
    min_change: float = 0.05
    seed: int = 0
    resampling: Resampling = field(default_factory=Resampling)

    def __post_init__(self) -> None:
        """Raises InvalidExperiment where a parameter cannot be used."""
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise InvalidExperiment(
                f"ablation is one of {', '.join(MODES)}, not {', '.join(unknown) or 'none'}"
            )
        if self.n_draws < 1:
            raise InvalidExperiment(f"{self.n_draws} draws cannot be resampled")


@dataclass(frozen=True)
class HeadChange:
    """The mean change in loss over prompts, nats a target, under one kind of ablation."""

    head: HeadRef
    change: Interval
    stands_out: bool


@dataclass(frozen=True)
class ModeResult:
    """All heads of the layer under one kind of ablation."""

    mode: Mode
    median: float
    spread: float
    heads: tuple[HeadChange, ...]


@dataclass(frozen=True)
class TaskResult:
    """One task: what it was made of, the loss without ablation, and the changes."""

    task: str
    n_prompts: int
    n_targets: int
    n_refused: int
    clean_loss: Interval
    modes: tuple[ModeResult, ...]

    def outstanding(self, mode: Mode) -> tuple[HeadRef, ...]:
        """The heads that stand out under one kind of ablation."""
        found = next(result for result in self.modes if result.mode == mode)
        return tuple(head.head for head in found.heads if head.stands_out)


@dataclass(frozen=True)
class HeadAblationResult:
    """Every head of one layer, on every task."""

    model: str
    layer: int
    parameters: AblationParameters
    tasks: tuple[TaskResult, ...]


def head_ablation(
    model: ExperimentModel,
    layer: int,
    tasks: Sequence[Prompts],
    parameters: AblationParameters | None = None,
    batching: Batching = PLAIN,
) -> HeadAblationResult:
    """Ablate each head of a layer, one at a time, on each task. Raises InvalidExperiment."""
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
    """Which heads stand out against the spread of their layer."""
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
    found = mean_interval(values, p.resampling)
    if found is None:
        raise ValueError("no prompts")
    return found
