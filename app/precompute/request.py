"""What a user asks of precompute, and the plan that follows once its parts are known. Imports no model library."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.domain.slugs import check_slug, slugify
from app.precompute.plan import FeatureChoice, RunPlan, SaePlan, default_threads, library_versions

if TYPE_CHECKING:  # the demo's up-to-date check must not load torch
    from app.adapters.sae_sources import SaeSpec


@dataclass(frozen=True)
class JobRequest:
    """What a user asks of precompute."""

    model: str
    saes: "tuple[SaeSpec, ...]"
    dataset: str
    work_dir: Path
    cache_dir: Path
    name: str | None = None
    revision: str | None = None
    layers: tuple[int, ...] | None = None
    text_field: str = "text"
    context_size: int = 128
    n_prompts: int | None = None
    features: FeatureChoice = "top"
    k: int = 20
    min_active: int = 10
    batch_size: int = 16
    shard_size: int = 64
    dtype: str = "float32"
    device: str = "cpu"
    seed: int = 0
    threads: int = field(default_factory=default_threads)
    processing: Literal["raw", "processed"] | None = None

    @property
    def slug(self) -> str:
        """The atlas's name in addresses. Raises InvalidSlug for a reserved or impossible one."""
        return check_slug(self.name) if self.name else slugify(Path(self.model).name)


def make_plan(
    request: JobRequest, saes: list[SaePlan], model_name: str, revision: str, corpus: tuple[str, str]
) -> RunPlan:
    """The plan of a request, once its SAEs and their processing, its model and its corpus are known."""
    return RunPlan(
        model=model_name,
        model_revision=revision,
        saes=tuple(sorted(saes, key=lambda sae: sae.layer)),
        corpus=corpus[0],
        corpus_identity=corpus[1],
        context_size=request.context_size,
        max_sequences=request.n_prompts,
        features=request.features,
        k=request.k,
        min_active=request.min_active,
        batch_sequences=request.batch_size,
        shard_sequences=request.shard_size,
        dtype=request.dtype,
        device=request.device,
        threads=request.threads,
        seed=request.seed,
        libraries=library_versions(),
    )
