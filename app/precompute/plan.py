"""The plan of a run: everything that its numbers depend on, and its fingerprint. Imports no model library."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from app.domain.options import AUTO, Option, check_minimums, option_name
from app.domain.records import (
    N_INTERVAL_EXAMPLES,
    N_INTERVAL_POOL,
    N_TOP_EXAMPLES,
    N_TOP_POOL,
    Json,
    Processing,
)
from app.errors import AppError
from app.paths import naming, open_new
from app.precompute.plan_differences import difference

FORMAT = 9  # raise it when the same plan would give other numbers, or its fields change their names
# Formats of stored plans that mean the same numbers, and the names that their fields had. Before 5, they have neither
# checksums of what was loaded nor identities of SAEs; before 6, no run has attention; before 7, lists are the strongest
# examples, alike or not; before 8, there is one data set, and no example says its document; before 9, DFA is float32.
_EARLIER_NAMES: Mapping[int, Mapping[str, str]] = {
    3: {  # version 0.1
        "corpus": "dataset",
        "corpus_identity": "dataset_identity",
        "max_sequences": "n_prompts",
        "shard_sequences": "shard_size",
        "batch_sequences": "batch_size",
        "calibration_sequences": "n_calibration",
        "score_sequences": "n_score_sequences",
    },
    **{number: {} for number in range(4, 9)},  # 4: version 0.2
}
_EARLIER_POOLS: dict[str, Any] = {
    "n_top_pool": N_TOP_EXAMPLES,
    "n_interval_pool": N_INTERVAL_EXAMPLES,
}  # before format 7
_LISTED = ("dataset", "dataset_identity")  # one value before format 8
_SELF = "fingerprint"  # beside the fields of a plan in a work folder: its checksum
_LIBRARIES = ("torch", "transformers", "tokenizers", "transformer-lens", "sae-lens", "numpy", "gguf")

FeatureChoice = Literal["top", "all"]
Dtype = Literal["float32", "bfloat16", "float16"]
UnitKind = Literal["features", "scores"]
ONE_DATASET_HELP = (
    "text, JSONL, Parquet, Arrow, folder, .npy ids, hub dataset, demo-texts, python-docs, installed-docs"
)
DATASET_HELP = f"{ONE_DATASET_HELP}; repeatable"
DEVICE_HELP = "auto (CUDA where torch has it, else the CPU), cpu, cuda, cuda:1, mps (an Apple GPU), ..."
THREADS_HELP = "threads of a forward pass; part of the run's fingerprint"
NO_SAE = "no SAE was given, so heads have scores and attention, but no features"


class RunPlanChanged(AppError):
    """The work folder holds another run."""


class DamagedPlan(RunPlanChanged):
    """The plan in the work folder cannot be read, or is not as it was written."""


@dataclass(frozen=True, order=True)
class Unit:
    """One unit of work: a shard of the corpus, or a batch of score sequences."""

    kind: UnitKind
    index: int

    @property
    def file_name(self) -> str:
        """The name of the unit's sealed file in the run's folder."""
        return f"{self.kind}-{self.index:05d}.seal"


@dataclass(frozen=True)
class SaePlan:
    """One SAE of a plan, and the weight processing of the model it is used with.

    checksum: of the weights alone; labels refer to it. identity: of everything that was read of the SAE, config
    included; empty in plans of formats before 5.
    """

    layer: int
    name: str
    checksum: str
    processing: Processing
    identity: str


def default_threads() -> int:
    """Default threads of a forward pass.

    They are part of the plan, since matrix products round differently with others.
    """
    return min(os.cpu_count() or 1, 8)


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """The options that decide a run's rows, shared by the command line, the request and the plan."""

    dataset: Annotated[tuple[str, ...], Option(DATASET_HELP, repeated=True)]
    context_size: Annotated[int, Option("positions in a sequence, BOS included", min=4)] = 128
    n_prompts: Annotated[
        int | None, Option("largest number of sequences to read, of each data set in turn", min=1)
    ] = None
    features: Annotated[
        FeatureChoice, Option("top: each head's top k by either ranking; all: every live feature")
    ] = "top"
    k: Annotated[int, Option("top features per head and ranking", min=1)] = 20
    min_active: Annotated[int, Option("active tokens that a feature needs to be ranked", min=1)] = 10
    batch_size: Annotated[int, Option("sequences in a forward pass", min=1)] = 16
    shard_size: Annotated[
        int, Option("sequences in a shard; a stopped job resumes after its last whole shard", min=1)
    ] = 64
    dtype: Annotated[Dtype, Option()] = "float32"
    device: Annotated[str, Option(DEVICE_HELP)] = AUTO
    seed: Annotated[int, Option()] = 0
    threads: Annotated[int, Option(THREADS_HELP, min=1)] = field(default_factory=default_threads)


@dataclass(frozen=True, kw_only=True)
class LoadedChecksums:
    """Checksums that are known only after loading: of the model and of the tokenised text.

    Empty in a plan that was made without loading, and in plans of formats before 5.
    """

    model_checksum: str  # configuration and every weight
    tokenizer_checksum: str
    corpus_checksum: str  # token ids


NOT_LOADED = LoadedChecksums(model_checksum="", tokenizer_checksum="", corpus_checksum="")


@dataclass(frozen=True, kw_only=True)
class RunPlan(RowOptions, LoadedChecksums):
    """Everything that decides a run's rows; the executor and the number of workers do not.

    `dataset` holds the names of the data sets here, without the folders that they were read from.
    """

    model: str
    model_revision: str
    saes: tuple[SaePlan, ...]
    dataset_identity: tuple[str, ...]
    n_calibration: int = 16
    n_score_sequences: int = 64
    score_length: int = 64
    n_top: int = N_TOP_EXAMPLES
    n_interval: int = N_INTERVAL_EXAMPLES
    n_top_pool: int = N_TOP_POOL
    n_interval_pool: int = N_INTERVAL_POOL
    format: int = FORMAT
    libraries: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the options. Raises AppError if they contradict each other or are too small."""
        layers = [sae.layer for sae in self.saes]
        if len(set(layers)) != len(layers):
            raise AppError(f"an atlas has at most one SAE per layer; layer {_repeated(layers)} has two")
        check_minimums(self, but="context_size")  # an array of token ids brings its own

    @property
    def fingerprint(self) -> str:
        """16 hex digits, equal for two plans exactly if every field is."""
        return _fingerprint_of(asdict(self))

    @property
    def processings(self) -> set[Processing]:
        """The weight processings that the run's SAEs need; without any, of the weights as released."""
        return {sae.processing for sae in self.saes} or {"raw"}

    @property
    def without_checksums(self) -> "RunPlan":
        """The plan without what is known only after loading."""
        return replace(self, **asdict(NOT_LOADED))

    def units(self, n_sequences: int) -> list[Unit]:
        """All units of work, in the order in which their partials are merged."""
        n_shards = -(-n_sequences // self.shard_size)
        n_batches = -(-self.n_score_sequences // self.batch_size)
        features = [Unit("features", index) for index in range(n_shards)]
        return features + [Unit("scores", index) for index in range(n_batches)]

    def as_json(self) -> dict[str, Json]:
        """The plan as JSON, as the store and the pages have it."""
        return cast(dict[str, Json], json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RunPlan":
        """The plan of a stored run, including those of versions 0.1 and 0.2.

        Raises RunPlanChanged for other formats.
        """
        value = {name: each for name, each in value.items() if name != "checks"}  # stored beside it
        if (names := _EARLIER_NAMES.get(value.get("format", 0))) is not None:
            value = (
                asdict(NOT_LOADED)
                | _EARLIER_POOLS
                | {names.get(name, name): each for name, each in value.items()}
            )
            value |= {"format": FORMAT, "saes": [{"identity": "", **sae} for sae in value["saes"]]}
            value |= {name: [value[name]] for name in _LISTED if isinstance(value.get(name), str)}
        names = {part.name for part in fields(cls)}
        if set(value) != names or value.get("format") != FORMAT:
            raise RunPlanChanged("the run was made by another version of Head Atlas; precompute it again")
        return cls(
            **{
                **value,
                **{name: tuple(value[name]) for name in _LISTED},
                "saes": tuple(SaePlan(**sae) for sae in value["saes"]),
                "libraries": tuple((name, number) for name, number in value["libraries"]),
            }
        )

    def save(self, path: Path) -> None:
        """Write the plan for a later resume to check against."""
        scratch = path.with_name(f"{path.name}.tmp{os.getpid()}")
        try:
            text = json.dumps({**asdict(self), _SELF: self.fingerprint}, indent=1, sort_keys=True)
            with naming(scratch), open_new(scratch) as file:
                file.write(text.encode())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "RunPlan":
        """A saved plan. Raises RunPlanChanged for one of another version, DamagedPlan, FileNotFoundError."""
        return cls.from_json(_read_saved(path))

    def require_same(self, path: Path) -> None:
        """Compare the plan with a saved one.

        Raises RunPlanChanged, naming every difference, DamagedPlan, or FileNotFoundError.
        """
        stored = _read_saved(path)
        if stored.get("format") != self.format:
            raise RunPlanChanged(
                f"{path.parent} holds a run of another version of Head Atlas; add --new-run to start afresh there"
            )
        mine: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        changed = [name for name in sorted(mine | stored) if mine.get(name) != stored.get(name)]
        if changed:
            lines = [difference(_option_or_field(name), stored.get(name), mine.get(name)) for name in changed]
            raise RunPlanChanged(
                f"{path.parent} holds a run with other options ({'; '.join(lines)}); "
                "add --new-run to start afresh there"
            )


def _fingerprint_of(plan: Mapping[str, Any]) -> str:
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_saved(path: Path) -> dict[str, Any]:
    """A saved plan, checked against the fingerprint beside it; one of an earlier version has none."""
    try:
        stored: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedPlan(f"{path} is damaged; add --new-run to start afresh there") from error
    whole = isinstance(stored, dict)
    if whole and (_SELF in stored or stored.get("format") == FORMAT):
        whole = stored.pop(_SELF, None) == _fingerprint_of(stored)
    if not whole:
        raise DamagedPlan(f"{path} is damaged; add --new-run to start afresh there")
    return stored


def library_versions() -> tuple[tuple[str, str], ...]:
    """Versions of the libraries that the numbers depend on."""
    versions: list[tuple[str, str]] = []
    for name in _LIBRARIES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            versions.append((name, "none"))
    return tuple(versions)


def _repeated(layers: list[int]) -> int:
    return next(layer for layer in layers if layers.count(layer) > 1)


def _option_or_field(name: str) -> str:
    """The command-line option that sets the field, or the field's own name if there is none."""
    return option_name(name) if name in {part.name for part in fields(RowOptions)} else name
