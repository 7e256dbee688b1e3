"""Ablation of a head with several annotated roles: does it increase the loss on the task of each role?"""

from collections.abc import Callable, Mapping, Sequence

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.ablation import (
    AblationParameters,
    PolysemanticityResult,
    RoleResult,
)
from app.domain.experiments.errors import InvalidExperiment
from app.domain.refs import HeadRef
from app.experiments.checks import check_heads
from app.experiments.head_ablation import head_ablation
from app.experiments.progress import PLAIN, Batching
from app.experiments.prompts import Prompts
from app.experiments.tasks import duplicate_token, induction, noun_digit, short_urls, succession

# Roles as annotators name them, and a task that needs each.
ROLE_TASKS: dict[str, Callable[[ExperimentModel, int, int], Prompts]] = {
    "induction": induction,
    "long-prefix induction": induction,
    "duplicate token": duplicate_token,
    "successor": succession,
    "integer copying": noun_digit,
    "url completion": short_urls,
}


def role_tasks(model: ExperimentModel, roles: Sequence[str], n_prompts: int, seed: int) -> dict[str, Prompts]:
    """The prompts for each role that has a task."""
    testable = [role for role in dict.fromkeys(roles) if role in ROLE_TASKS]
    return {role: ROLE_TASKS[role](model, n_prompts, seed) for role in testable}


def polysemanticity(
    model: ExperimentModel,
    head: HeadRef,
    roles: Sequence[str],
    tasks: Mapping[str, Prompts],
    parameters: AblationParameters | None = None,
    batching: Batching = PLAIN,
) -> PolysemanticityResult:
    """The change in loss from ablating a head, on the task of each of its roles. Raises InvalidExperiment.

    tasks: prompts by role, from role_tasks or elsewhere.
    """
    p = parameters or AblationParameters()
    check_heads(model, [head])
    tested = [role for role in dict.fromkeys(roles) if role in tasks]
    if not tested:
        raise InvalidExperiment(
            f"no role of {head} has a task; those that have one are {', '.join(ROLE_TASKS)}"
        )
    ablation = head_ablation(model, head.layer, [tasks[role] for role in tested], p, batching)
    results = tuple(
        RoleResult(role, task, tuple(mode.heads[head.head] for mode in task.modes))
        for role, task in zip(tested, ablation.tasks, strict=True)
    )
    untested = tuple(role for role in dict.fromkeys(roles) if role not in tasks)
    return PolysemanticityResult(model.record.name, head, p, results, untested)
