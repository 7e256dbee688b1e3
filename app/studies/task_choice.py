"""Tasks of an experiment, chosen by name: generated prompts, proxies on the atlas's text, or files."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.adapters.interventions import ExperimentModel
from app.domain.experiments.errors import InvalidExperiment
from app.experiments.natural_text import Text
from app.experiments.prompts import Prompts, given_prompts, parse_jsonl
from app.experiments.proxies import PREDICATES, Predicate, matching
from app.experiments.tasks import (
    duplicate_token,
    induction,
    natural_proxy,
    noun_digit,
    short_urls,
    succession,
)

GENERATED: dict[str, Callable[[ExperimentModel, int, int], Prompts]] = {
    "noun-digit": noun_digit,
    "short-urls": short_urls,
    "succession": succession,
    "induction": induction,
    "duplicate-token": duplicate_token,
}
PROXY = "proxy:"


@dataclass(frozen=True)
class TaskChoice:
    """The chosen tasks, and files of further prompts.

    names: each a task family, or `proxy:` followed by a predicate or regular expression.
    """

    names: tuple[str, ...]
    prompts: tuple[Path, ...] = ()
    n_prompts: int = 100
    seed: int = 0

    def check(self) -> None:
        """Raise InvalidExperiment for a name that is no task, before anything is loaded."""
        for name in self.names:
            if name.startswith(PROXY):
                find_predicate(name.removeprefix(PROXY))
            elif name not in GENERATED:
                raise InvalidExperiment(
                    f"{name[:60]!r} is an unknown task; choose from {', '.join(GENERATED)}, and proxy: followed by "
                    f"{', '.join(PREDICATES)} or a regular expression"
                )
        if not self.names and not self.prompts:
            raise InvalidExperiment("no tasks were given")

    def make(self, model: ExperimentModel, text: Text | None) -> list[Prompts]:
        """The prompts of every task.

        Raises InvalidExperiment for a task that has no prompts for this model or text.
        """
        prompts = [self._prompts_of(model, text, name) for name in self.names]
        return prompts + [given_prompts(model, parse_jsonl(_lines(path)), path.stem) for path in self.prompts]

    def _prompts_of(self, model: ExperimentModel, text: Text | None, name: str) -> Prompts:
        if not name.startswith(PROXY):
            return GENERATED[name](model, self.n_prompts, self.seed)
        if text is None:
            raise InvalidExperiment(f"the task {name} needs text")
        predicate = find_predicate(name.removeprefix(PROXY))
        return natural_proxy(model, text, predicate, name, self.n_prompts, self.seed)


def find_predicate(name: str) -> Predicate:
    """The predicate of this name, or one made from a regular expression. Raises InvalidExperiment."""
    if name in PREDICATES:
        return PREDICATES[name]
    try:
        return matching(name)
    except re.error as error:
        raise InvalidExperiment(
            f"{name[:60]!r} is neither of {', '.join(PREDICATES)} nor a regular expression: {error}"
        ) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidExperiment(f"the prompts {path} cannot be read: {error}") from error
