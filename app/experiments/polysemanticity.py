"""For a head annotated with several roles: does ablating it hurt the task of each role?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.adapters.interventions import ExperimentModel
from app.domain.refs import HeadRef
from app.experiments.errors import InvalidExperiment, check_heads
from app.experiments.head_ablation import AblationParameters, HeadChange, TaskResult, head_ablation
from app.experiments.progress import PLAIN, Batching
from app.experiments.prompts import Prompts
from app.experiments.tasks import duplicate_token, induction, noun_digit, short_urls, succession

NAME = "polysemanticity"
# Roles as annotators name them, and a task that needs each.
ROLE_TASKS: dict[str, Callable[[ExperimentModel, int, int], Prompts]] = {
    "induction": induction,
    "long-prefix induction": induction,
    "duplicate token": duplicate_token,
    "successor": succession,
    "integer copying": noun_digit,
    "url completion": short_urls,
}


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


def role_tasks(model: ExperimentModel, roles: Sequence[str], n_prompts: int, seed: int) -> dict[str, Prompts]:
    """The task of each role that has one."""
    known = [role for role in dict.fromkeys(roles) if role in ROLE_TASKS]
    return {role: ROLE_TASKS[role](model, n_prompts, seed) for role in known}


def polysemanticity(
    model: ExperimentModel,
    head: HeadRef,
    roles: Sequence[str],
    tasks: Mapping[str, Prompts],
    parameters: AblationParameters | None = None,
    batching: Batching = PLAIN,
) -> PolysemanticityResult:
    """Test each role of a head on its task: those of role_tasks, or others. Raises InvalidExperiment."""
    p = parameters or AblationParameters()
    check_heads(model, [head])
    tested = [role for role in dict.fromkeys(roles) if role in tasks]
    if not tested:
        raise InvalidExperiment(
            f"no role of {head} has a task; those that have one are {', '.join(ROLE_TASKS)}"
        )
    found = head_ablation(model, head.layer, [tasks[role] for role in tested], p, batching)
    results = tuple(
        RoleResult(role, task, tuple(mode.heads[head.head] for mode in task.modes))
        for role, task in zip(tested, found.tasks, strict=True)
    )
    untested = tuple(role for role in dict.fromkeys(roles) if role not in tasks)
    return PolysemanticityResult(model.record.name, head, p, results, untested)
