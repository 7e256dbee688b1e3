"""Where a run's model and SAEs came from, as the run's report stores it, and loading them again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.adapters.model_sources import EMBEDDED, ModelSource, find_model
from app.adapters.sae_sources import LocalSae, ReleaseSae, SaeSpec
from app.domain.records import Json
from app.errors import AppError, InvalidModel
from app.paths import embedded_dir
from app.precompute.loaded_run import JobSpec, LoadedRun
from app.precompute.plan import RunPlan
from app.precompute.work_folder import WorkFolder


class SourcesNotRecorded(AppError):
    """The run does not record where its SAEs are."""


def sources_json(spec: JobSpec) -> dict[str, Json]:
    """The locations from which another process can load the same model and SAEs."""
    saes: list[Json] = [_sae_json(sae) for sae in spec.saes]
    return {"model": spec.model.location if spec.model.identity else spec.model.name, "saes": saes}


def reopen(plan: RunPlan, sources: Mapping[str, Any] | None, cache_dir: Path) -> LoadedRun:
    """The run's model and SAEs, loaded again. Raises AppError if they are not there, or have changed."""
    specs = _embedded_saes(plan) if sources is None else [_sae_spec(sae) for sae in sources["saes"]]
    model = _find_model(plan, sources, cache_dir)
    nowhere = WorkFolder(cache_dir)  # nothing is read or written there: the text takes the corpus's place
    run = LoadedRun(JobSpec(plan, model, tuple(specs), nowhere, cache_dir))
    _ = run.saes  # checked against the plan as they are loaded, as the model is
    if run.record.revision != plan.model_revision:
        raise InvalidModel(f"the model {plan.model} is no longer the one that the run was made with")
    return run


def _find_model(plan: RunPlan, sources: Mapping[str, Any] | None, cache_dir: Path) -> ModelSource:
    if plan.model == EMBEDDED or sources is None:
        return find_model(plan.model, cache_dir)
    return find_model(str(sources["model"]), cache_dir, plan.model_revision)


def _embedded_saes(plan: RunPlan) -> list[SaeSpec]:
    """The SAEs of a run of the embedded model that was published before locations were recorded."""
    folders = [embedded_dir() / EMBEDDED / sae.name for sae in plan.saes]
    if plan.model != EMBEDDED or not all(folder.is_dir() for folder in folders):
        raise SourcesNotRecorded(
            "the run does not record where its SAEs are, since an earlier version made it; precompute it again"
        )
    return [LocalSae(folder) for folder in folders]


def _sae_json(spec: SaeSpec) -> Json:
    if isinstance(spec, ReleaseSae):
        return {"release": spec.release, "sae_id": spec.sae_id}
    return {"path": str(spec.path.absolute()), "normalize_factor": spec.normalize_factor}


def _sae_spec(value: Mapping[str, Any]) -> SaeSpec:
    if "release" in value:
        return ReleaseSae(value["release"], value["sae_id"])
    return LocalSae(Path(value["path"]), value["normalize_factor"])
