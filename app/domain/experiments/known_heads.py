"""Detectors of well-known kinds of heads, and a scoreboard against a list of them."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Annotated

from app.domain.experiments.errors import InvalidExperiment
from app.domain.experiments.kind import ExperimentKind, TextSizes
from app.domain.experiments.options import Seed
from app.domain.experiments.wording import listed
from app.domain.options import Option
from app.domain.refs import HeadRef

ROLES = ("previous_token", "duplicate_token", "induction", "copy_suppression", "successor")


@dataclass(frozen=True)
class KnownHeadParameters:
    """Sizes of the test, and the score from which a head counts as having each role."""

    n_sequences: Annotated[int, Option("sequences of repeated random tokens", min=1, flag="--n-repeated")] = (
        64
    )
    length: Annotated[int, Option("random tokens in a sequence, before their repetition", min=2)] = 64
    thresholds: Mapping[str, float] = field(
        default_factory=lambda: {
            "previous_token": 0.4,
            "duplicate_token": 0.3,
            "induction": 0.3,
            "copy_suppression": 0.05,
            "successor": 0.5,
        }
    )
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the thresholds. Raises InvalidExperiment where a role has none."""
        if set(self.thresholds) != set(ROLES):
            raise InvalidExperiment(f"thresholds are needed for {', '.join(ROLES)}")


@dataclass(frozen=True)
class HeadScores:
    """One head's score in each role, and the roles it is detected in.

    previous_token, duplicate_token, induction: mean attention on random tokens seen twice. copy_suppression:
    attention to earlier copies of the token that the model is about to predict, times how far the OV circuit
    writes the negative of what it reads (0 for a circuit that copies). successor: the share of steps of ordinal
    sequences at which the OV circuit boosts the next item most, of all items of the sequence.
    """

    head: HeadRef
    scores: Mapping[str, float]
    copying: float  # OV eigenvalues, -1 to 1
    predicted_attention: float
    roles: tuple[str, ...]


@dataclass(frozen=True)
class RoleScore:
    """A detector against a list of heads known to have the role; None where nothing is divided by."""

    role: str
    detected: tuple[HeadRef, ...]
    known: tuple[HeadRef, ...]
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Scoreboard:
    """All roles against one list of heads: whose it is, and how many heads it speaks of."""

    against: str
    n_heads: int
    roles: tuple[RoleScore, ...]


@dataclass(frozen=True)
class KnownHeadsResult:
    """Every head of the model, and scoreboards against what is known or annotated of it."""

    model: str
    parameters: KnownHeadParameters
    heads: tuple[HeadScores, ...]
    n_successor_steps: int
    scoreboards: tuple[Scoreboard, ...] = ()

    def detected(self) -> dict[str, frozenset[HeadRef]]:
        """The heads found in each role."""
        return {role: frozenset(h.head for h in self.heads if role in h.roles) for role in ROLES}


def scoreboard(
    detected: Mapping[str, Set[HeadRef]], reference: Mapping[str, Set[HeadRef]]
) -> tuple[RoleScore, ...]:
    """Precision and recall of each role that either side knows, in order of name."""
    rows: list[RoleScore] = []
    for role in sorted({*detected, *reference}):
        ours, theirs = detected.get(role, frozenset()), reference.get(role, frozenset())
        both = len(ours & theirs)
        rows.append(
            RoleScore(
                role,
                tuple(sorted(ours)),
                tuple(sorted(theirs)),
                precision=both / len(ours) if ours else None,
                recall=both / len(theirs) if theirs else None,
            )
        )
    return tuple(rows)


def _summarise(result: KnownHeadsResult) -> str:
    by_role = result.detected()
    return "; ".join(f"{role.replace('_', ' ')}: {listed(by_role[role])}" for role in ROLES)


def _n_tokens(parameters: KnownHeadParameters, text: TextSizes) -> int:
    repeated = parameters.n_sequences * (1 + 2 * parameters.length)
    return repeated + 2 * text.n_tokens  # once for what is predicted, once for what is attended to


def _by_head(result: KnownHeadsResult) -> dict[HeadRef, str]:
    return {
        head.head: "detected as "
        + ", ".join(f"{role.replace('_', ' ')} ({head.scores[role]:.2f})" for role in head.roles)
        for head in result.heads
        if head.roles
    }


KNOWN_HEADS = ExperimentKind(
    name="known-heads",
    purpose="Run detectors of well-known kinds of heads on every head, and score them against reference lists.",
    parameters_type=KnownHeadParameters,
    result_type=KnownHeadsResult,
    summarise=_summarise,
    by_head=_by_head,
    n_tokens=_n_tokens,
    n_sequences=64,
    needs_roles=True,  # one of its scoreboards is against annotations
)
