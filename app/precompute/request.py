"""The user's request for a precompute job, and the plan made from it. Imports no model library."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from app.adapters.sae_sources import SaeSpec
from app.domain.options import Option
from app.domain.records import Processing
from app.domain.slugs import check_slug, slugify
from app.errors import AppError
from app.extras import need
from app.precompute.plan import (
    NOT_LOADED,
    LoadedChecksums,
    RowOptions,
    RunPlan,
    SaePlan,
    library_versions,
)
from app.precompute.ray_address import cluster_address

EXECUTOR_HELP = "this process, several of this machine, or a Ray cluster; the rows are the same"
ADDRESS_HELP = "of the Ray cluster to join, HOST:PORT or auto [RAY_ADDRESS]; default one of the job's own"


def slug_of(model: str, name: str | None) -> str:
    """The name of a model's atlas in URLs, by default from the model's. Raises InvalidSlug."""
    return check_slug(name) if name else slugify(Path(model).name)


@dataclass(frozen=True, kw_only=True)
class JobRequest(RowOptions):
    """A request for a precompute job: the options that decide rows, and where model, SAEs and folders are."""

    model: str
    saes: tuple[SaeSpec, ...]
    work_dir: Path
    cache_dir: Path
    name: str | None = None
    revision: str | None = None
    layers: tuple[int, ...] | None = None
    text_field: str = "text"
    pad_token: int | None = None  # of a token array; NO_PADDING: it has none
    processing: Processing | None = None

    @property
    def slug(self) -> str:
        """The atlas's name in URLs. Raises InvalidSlug for a reserved or invalid one."""
        return slug_of(self.model, self.name)


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """Which processes compute a job's units. These options change no row."""

    executor: Annotated[Literal["serial", "processes", "ray"], Option(EXECUTOR_HELP)] = "serial"
    workers: Annotated[int, Option("of --executor processes or ray", min=1)] = 2
    address: Annotated[str | None, Option(ADDRESS_HELP)] = None

    def check(self) -> None:
        """Check, before anything is loaded, that there is such an executor here. Raises AppError."""
        if self.executor == "ray":
            need("ray", "--executor ray")
            cluster_address(self.address)
        elif self.address is not None:
            raise AppError("--address is that of a Ray cluster, and needs --executor ray")


@dataclass(frozen=True, kw_only=True)
class RunOptions(ExecutorOptions):
    """How one command runs a job: in which processes, which share of it, and whether to start afresh.

    `shard` (i, N) computes units i, i + N, ... and publishes nothing. `new_run` drops another run's partials.
    """

    new_run: bool = False
    shard: tuple[int, int] | None = None


@dataclass(frozen=True)
class DatasetPlan:
    """A data set of a plan: its name, and what differs when its text does."""

    name: str
    identity: str


def make_plan(
    request: JobRequest,
    saes: list[SaePlan],
    model: str,
    revision: str,
    datasets: Sequence[DatasetPlan],
    loaded: LoadedChecksums = NOT_LOADED,
) -> RunPlan:
    """The plan of a request, given its SAEs with their processing, its model and its data sets."""
    options = {field.name: getattr(request, field.name) for field in fields(RowOptions)}
    return RunPlan(
        **{**options, "dataset": tuple(each.name for each in datasets), **asdict(loaded)},
        model=model,
        model_revision=revision,
        saes=tuple(sorted(saes, key=lambda sae: sae.layer)),
        dataset_identity=tuple(each.identity for each in datasets),
        libraries=library_versions(),
    )
