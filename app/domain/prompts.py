"""What the server asks the model's process about a text, and what it answers: one JSON line each way."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from app.domain.records import Json

MAX_CHARACTERS = 4_000
MAX_LINE_BYTES = 16_000_000  # an answer is a few numbers for each pair of tokens


@dataclass(frozen=True)
class PromptOpening:
    """The run whose model and SAEs are to be loaded. `sources` says where they are; None: not recorded."""

    plan: dict[str, Json]
    sources: dict[str, Json] | None
    cache_dir: str


@dataclass(frozen=True)
class PromptQuestion:
    """A text, and what to look at. None leaves the choice to what the text itself shows most of."""

    text: str
    layer: int
    head: int | None = None
    feature: int | None = None  # index in the layer's SAE
    dest: int | None = None  # position, BOS being 0


@dataclass(frozen=True)
class ActiveFeature:
    """A feature where the head adds most to it."""

    index: int
    position: int
    activation: float
    head_contribution: float


@dataclass(frozen=True)
class FeatureReading:
    """One feature over the text, and at dest what every head and source adds to it.

    dfa sums over sources to contributions, and those with bias to pre_activation[dest].
    """

    index: int
    activation: list[float]  # [pos]; 0 at BOS, which the run does not count
    pre_activation: list[float]  # [pos]
    head_contribution: list[float]  # [pos] of the chosen head
    contributions: list[float]  # [n_heads] at dest
    bias: float  # at dest
    dfa: list[list[float]]  # [n_heads src] at dest
    residual: float  # |sum DFA + bias - p| / sum |DFA| at dest


@dataclass(frozen=True)
class PromptAnswer:
    """What the model does with the text in one layer. `feature` is None where none is active, or no SAE is."""

    tokens: list[int]
    head: int
    dest: int
    pattern: list[list[float]]  # [dest src] of the head
    active: tuple[ActiveFeature, ...]  # by what the head adds, largest first
    feature: FeatureReading | None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "PromptAnswer":
        """The answer that JSON holds. Raises KeyError or TypeError for anything else."""
        feature = value["feature"]
        return cls(
            tokens=value["tokens"],
            head=value["head"],
            dest=value["dest"],
            pattern=value["pattern"],
            active=tuple(ActiveFeature(**each) for each in value["active"]),
            feature=None if feature is None else FeatureReading(**feature),
        )


def to_line(message: dict[str, Any]) -> bytes:
    """A message as one line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def question_json(question: PromptOpening | PromptQuestion | PromptAnswer) -> dict[str, Any]:
    """A message's content as it is sent."""
    return asdict(question)
