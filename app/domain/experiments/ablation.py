"""Ablation of heads, on tasks and on the roles that annotations claim."""

from dataclasses import dataclass, field
from typing import Literal

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.intervals import Interval, Resampling
from app.domain.refs import HeadRef

# zero: z is 0 at every position, BOS included. mean: the mean over the prompts' own positions. resample: z of
# another prompt at the same position (its last, where it is shorter). The last two leave BOS and padding alone.
Mode = Literal["zero", "mean", "resample"]


MODES: tuple[Mode, ...] = ("zero", "mean", "resample")


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
