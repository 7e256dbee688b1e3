"""What every kind of experiment declares of itself, once: its name, its types and what its results say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.experiments.json_form import from_json, to_json
from app.domain.records import Json
from app.domain.refs import HeadRef
from app.errors import InvalidStore

VERSION = 1  # of the form of stored results
P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class TextSizes:
    """What decides how long an experiment takes, besides its parameters: the text it reads, and heads of a layer."""

    n_sequences: int
    context_size: int
    n_heads: int

    @property
    def n_tokens(self) -> int:
        """The tokens of the text."""
        return self.n_sequences * self.context_size


@dataclass(frozen=True)
class ExperimentKind(Generic[P, R]):
    """One kind of experiment: all that the store, the pages and the commands have to know of it.

    name: of its command, in its address and in the store. purpose: what it tests, in one sentence, which is the help
    of its command. parameters_type, result_type: frozen dataclasses. n_sequences: sequences of the atlas's text that
    it reads unless asked otherwise. n_tokens: about how many tokens the model reads in all; 0 where none is loaded.
    summarise: one sentence for a whole result. by_head: one sentence for each head that a result says something of.
    needs_roles: its results rest on roles that annotators gave, so that blind annotators do not see them.
    How it is drawn is declared in `app.services.experiments.figures.registry`.
    """

    name: str
    purpose: str
    parameters_type: type[P]
    result_type: type[R]
    summarise: Callable[[R], str]
    by_head: Callable[[R], Mapping[HeadRef, str]]
    n_tokens: Callable[[P, TextSizes], int]
    n_sequences: int = 0
    needs_roles: bool = False

    @property
    def has_seed(self) -> bool:
        """Whether anything in it is drawn at random."""
        return hasattr(self.parameters_type, "seed")

    def pack(self, result: R) -> Json:
        """The stored form of a result."""
        return {"version": VERSION, "result": to_json(result)}

    def unpack(self, stored: Json) -> R:
        """The result whose stored form is given. Raises InvalidStore for one that this version cannot read."""
        if not isinstance(stored, dict) or stored.get("version") != VERSION:
            raise unreadable(self.name)
        return from_json(self.result_type, stored["result"])


def unreadable(name: str) -> InvalidStore:
    """The error for a stored result of another version."""
    return InvalidStore(f"the stored result of {name[:40]} is not one that this version can read")
