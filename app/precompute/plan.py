"""What a run's numbers depend on, and its fingerprint. Imports no model library."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast

from app.domain.records import N_INTERVAL_EXAMPLES, N_TOP_EXAMPLES, Json
from app.errors import AppError

FORMAT = 3  # raise it when the same plan would give other numbers
_LIBRARIES = ("torch", "transformers", "transformer-lens", "sae-lens", "numpy")

FeatureChoice = Literal["top", "all"]
UnitKind = Literal["features", "scores"]


class PlanChanged(AppError):
    """The work directory holds another run."""


@dataclass(frozen=True, order=True)
class Unit:
    """The only unit of work: one shard of the corpus, or one batch of score sequences."""

    kind: UnitKind
    index: int

    @property
    def file_name(self) -> str:
        """Where its sealed partials are, in the run's folder."""
        return f"{self.kind}-{self.index:05d}.seal"


@dataclass(frozen=True)
class SaePlan:
    """One SAE of a plan, and the weight processing of the model that it is run on."""

    layer: int
    name: str
    checksum: str
    processing: Literal["raw", "processed"]


@dataclass(frozen=True)
class RunPlan:
    """Everything that decides a run's rows. The executor and the number of workers do not."""

    model: str
    model_revision: str
    saes: tuple[SaePlan, ...]
    corpus: str
    corpus_identity: str
    context_size: int
    max_sequences: int | None
    features: FeatureChoice = "top"
    k: int = 20
    min_active: int = 10
    shard_sequences: int = 64
    batch_sequences: int = 16
    calibration_sequences: int = 16
    score_sequences: int = 64
    score_length: int = 64
    n_top: int = N_TOP_EXAMPLES
    n_interval: int = N_INTERVAL_EXAMPLES
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    format: int = FORMAT
    libraries: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises PlanChanged's parent AppError for options that make no sense."""
        if not self.saes:
            raise AppError("no SAE was given: use --sae-path, or --release with --sae-id")
        layers = [sae.layer for sae in self.saes]
        if len(set(layers)) != len(layers):
            raise AppError(f"an atlas has at most one SAE a layer; layer {_repeated(layers)} has two")
        for name in ("k", "shard_sequences", "batch_sequences", "score_sequences", "threads", "min_active"):
            if getattr(self, name) < 1:
                raise AppError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")

    @property
    def fingerprint(self) -> str:
        """16 hex digits; equal exactly when every field is."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def units(self, n_sequences: int) -> list[Unit]:
        """All units of work, in the order in which partials fold."""
        n_shards = -(-n_sequences // self.shard_sequences)
        n_batches = -(-self.score_sequences // self.batch_sequences)
        features = [Unit("features", index) for index in range(n_shards)]
        return features + [Unit("scores", index) for index in range(n_batches)]

    def as_json(self) -> dict[str, Json]:
        """The plan as the store and the pages keep it."""
        return cast(dict[str, Json], json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunPlan":
        """The plan that as_json gave. Raises PlanChanged for one of another version."""
        known = {part.name for part in fields(cls)}
        if set(value) != known or value["format"] != FORMAT:
            raise PlanChanged("the run was made by another version of Head Atlas; precompute it again")
        return cls(
            **{
                **value,
                "saes": tuple(SaePlan(**sae) for sae in value["saes"]),
                "libraries": tuple((name, number) for name, number in value["libraries"]),
            }
        )

    def save(self, path: Path) -> None:
        """Write the plan for a later resume to check against."""
        scratch = path.with_name(f"{path.name}.tmp{os.getpid()}")
        scratch.write_text(json.dumps(asdict(self), indent=1, sort_keys=True))
        scratch.replace(path)

    def require_same(self, path: Path) -> None:
        """Raises PlanChanged with every difference when the file holds another plan."""
        try:
            stored: dict[str, Any] = json.loads(path.read_text())
        except ValueError as error:
            raise PlanChanged(f"{path} is damaged; add --new-run to start afresh there") from error
        mine: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        changed = [name for name in sorted(mine | stored) if mine.get(name) != stored.get(name)]
        if changed:
            lines = [f"{name}: {_short(stored.get(name))} -> {_short(mine.get(name))}" for name in changed]
            raise PlanChanged(
                f"{path.parent} holds a run with other options ({'; '.join(lines)}); "
                "add --new-run to start afresh there"
            )


def library_versions() -> tuple[tuple[str, str], ...]:
    """Versions of the libraries that the numbers come from."""
    found: list[tuple[str, str]] = []
    for name in _LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "none"))
    return tuple(found)


def default_threads() -> int:
    """Threads of one forward pass. Part of the plan: matrix products round differently with other counts."""
    return min(os.cpu_count() or 1, 8)


def _repeated(layers: list[int]) -> int:
    return next(layer for layer in layers if layers.count(layer) > 1)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
