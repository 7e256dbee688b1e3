"""Ablation of heads, on tasks and on the roles that annotations claim."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.options import Seed
from app.domain.experiments.wording import listed
from app.domain.options import Option
from app.domain.refs import HeadRef

# zero: z is 0 at every position, BOS included. mean: the mean over the prompts' own positions. resample: z of
# another prompt at the same position (its last, where it is shorter). The last two leave BOS and padding alone.
Mode = Literal["zero", "mean", "resample"]


MODES: tuple[Mode, ...] = ("zero", "mean", "resample")
# Tasks of an ablation that names none, with about how many tokens a prompt has; None for those of the atlas's text.
DEFAULT_TASKS: Mapping[str, int | None] = {
    "noun-digit": 12,
    "short-urls": 18,
    "succession": 7,
    "induction": 41,
    "duplicate-token": 41,
    "proxy:induction": None,
}
N_PROMPTS = 60  # of each task


@dataclass(frozen=True)
class AblationParameters:
    """Which kinds of ablation, and when a head stands out from its layer.

    It does if its change is min_spreads spreads above the layer's median, at least min_change nats, and its interval
    lies above 0. The spread is 1.4826 times the median absolute deviation over the heads."""

    modes: Annotated[tuple[Mode, ...], Option("kinds of ablation, separated by commas")] = MODES
    n_draws: Annotated[int, Option("draws of resample ablation", min=1)] = 3
    min_spreads: Annotated[
        float, Option("spreads above the layer's median that a head's change needs to stand out")
    ] = 3.5
    min_change: Annotated[float, Option("nats that a head's change needs to stand out")] = 0.05
    seed: Seed = 0
    resampling: Resampling = field(default_factory=Resampling)

    def __post_init__(self) -> None:
        """Check the parameters. Raises InvalidExperiment where one cannot be used."""
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise InvalidExperiment(
                f"ablation is one of {', '.join(MODES)}, not {', '.join(unknown) or 'none'}"
            )
        if self.n_draws < 1:
            raise InvalidExperiment(f"{self.n_draws} draws are too few; resample ablation needs at least 1")


@dataclass(frozen=True)
class HeadChange:
    """The mean change in loss over prompts, in nats per target, under one kind of ablation."""

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


@dataclass(frozen=True)
class HeadAblationResult:
    """Every head of one layer, on every task."""

    model: str
    layer: int
    parameters: AblationParameters
    tasks: tuple[TaskResult, ...]


@dataclass(frozen=True)
class RoleResult:
    """One role: its task, and the head's change in loss on it under each kind of ablation."""

    role: str
    task: TaskResult
    changes: tuple[HeadChange, ...]  # in the order of the parameters' modes

    @property
    def hurt(self) -> bool:
        """Whether every kind of ablation raises the loss, its interval above 0."""
        return all(change.change.lower > 0 for change in self.changes)

    @property
    def stands_out(self) -> bool:
        """Whether the head stands out from its layer under every kind of ablation."""
        return all(change.stands_out for change in self.changes)


@dataclass(frozen=True)
class PolysemanticityResult:
    """A head's roles, tested one by one; roles without a task are named, not dropped."""

    model: str
    head: HeadRef
    parameters: AblationParameters
    roles: tuple[RoleResult, ...]
    untested: tuple[str, ...]

    @property
    def n_confirmed(self) -> int:
        """Roles whose own task ablation hurts, the head standing out."""
        return sum(role.hurt and role.stands_out for role in self.roles)


def _n_passes(parameters: AblationParameters, n_heads: int) -> int:
    """How often each prompt is read: whole, for z of the layer, and once for each replacement."""
    return 2 + n_heads * sum(parameters.n_draws if mode == "resample" else 1 for mode in parameters.modes)


def _tokens_of_ablation(parameters: AblationParameters, text: TextSizes) -> int:
    of_prompts = sum(text.context_size if tokens is None else tokens for tokens in DEFAULT_TASKS.values())
    return N_PROMPTS * of_prompts * _n_passes(parameters, text.n_heads)


def _tokens_of_one_role(parameters: AblationParameters, text: TextSizes) -> int:
    return N_PROMPTS * (DEFAULT_TASKS["induction"] or 0) * _n_passes(parameters, text.n_heads)


def _kinds_by_task(result: HeadAblationResult) -> dict[HeadRef, dict[str, list[str]]]:
    """The kinds of ablation under which a head stands out, by head and task."""
    by_head: dict[HeadRef, dict[str, list[str]]] = {}
    for task in result.tasks:
        for mode in task.modes:
            for head in mode.heads:
                modes = by_head.setdefault(head.head, {})
                if head.stands_out:
                    modes.setdefault(task.task, []).append(mode.mode)
    return by_head


def _summarise_ablation(result: HeadAblationResult) -> str:
    by_head = _kinds_by_task(result)
    tasks = {
        task.task: [head for head, modes in by_head.items() if task.task in modes] for task in result.tasks
    }
    return f"heads of layer {result.layer} that stand out: " + "; ".join(
        f"{task}: {listed(heads)}" for task, heads in tasks.items()
    )


def _ablation_by_head(result: HeadAblationResult) -> dict[HeadRef, str]:
    def sentence(modes: dict[str, list[str]]) -> str:
        if not modes:
            names = [task.task for task in result.tasks]
            return f"does not stand out on {', '.join(names) if len(names) < 4 else f'any of {len(names)} tasks'}"
        parts = [f"{task} ({', '.join(kinds)})" for task, kinds in modes.items()]
        return f"stands out when ablated on {', '.join(parts)}"

    return {head: sentence(modes) for head, modes in _kinds_by_task(result).items()}


def _summarise_roles(result: PolysemanticityResult) -> str:
    return f"{result.head}: ablation confirms {result.n_confirmed} of {len(result.roles)} tested roles"


def _roles_by_head(result: PolysemanticityResult) -> dict[HeadRef, str]:
    confirmed = [role.role for role in result.roles if role.hurt and role.stands_out]
    tested = ", ".join(role.role for role in result.roles)
    return {result.head: f"of the roles {tested}, ablation confirms {', '.join(confirmed) or 'none'}"}


HEAD_ABLATION = ExperimentKind(
    name="head-ablation",
    purpose="Measure the change in loss on task families when each head of a layer is ablated.",
    parameters_type=AblationParameters,
    result_type=HeadAblationResult,
    summarise=_summarise_ablation,
    by_head=_ablation_by_head,
    n_tokens=_tokens_of_ablation,
    n_sequences=128,
)
POLYSEMANTICITY = ExperimentKind(
    name="polysemanticity",
    purpose="Test whether ablating a head hurts the task of each role that it is annotated with.",
    parameters_type=AblationParameters,
    result_type=PolysemanticityResult,
    summarise=_summarise_roles,
    by_head=_roles_by_head,
    n_tokens=_tokens_of_one_role,
    needs_roles=True,
)
