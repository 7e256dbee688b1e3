"""The embedded default: SmolLM2-135M, and the SAEs and texts that ship with the package.

Imports no model library, so that a demo which is up to date starts at once.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.adapters.demo_texts import DEMO_TEXTS, DemoTexts
from app.adapters.model_sources import EMBEDDED, embedded_checksum
from app.adapters.sae_config import parse_config, sae_identity
from app.adapters.sae_sources import LocalSae, folder_facts
from app.domain.options import AUTO
from app.errors import AppError, InvalidSae
from app.precompute.plan import DamagedPlan, RunPlan, RunPlanChanged, SaePlan
from app.precompute.request import DatasetPlan, JobRequest, make_plan

N_SEQUENCES = 256  # 32,512 counted tokens at a context of 128; docs/decisions/0019 says why no more
_log = logging.getLogger(__name__)
_FOLDER = Path(__file__).parent / "embedded" / EMBEDDED


@dataclass(frozen=True)
class DemoFolders:
    """Where a demo keeps its files."""

    work_dir: Path
    cache_dir: Path


def sae_folders() -> list[Path]:
    """The folder of the shipped SAE of each layer, by layer."""
    folders = [path for path in _FOLDER.glob("layer_*") if path.is_dir()]
    if not folders:
        raise InvalidSae(
            f"this installation lacks its embedded SAEs ({_FOLDER.name}); install head-atlas again"
        )
    return sorted(folders, key=_layer)


def demo_sae_folders(layers: tuple[int, ...] | None = None) -> list[Path]:
    """The shipped SAEs of these layers, or all of them, by layer. Raises AppError for a layer without one."""
    by_layer = {_layer(path): path for path in sae_folders()}
    missing = sorted(set(layers or ()) - by_layer.keys())
    if missing:
        raise AppError(
            f"--layers asks for layer {missing[0]}, and the shipped SAEs are of layers {_ranges(by_layer)}"
        )
    return [path for layer, path in by_layer.items() if layers is None or layer in layers]


def _layer(folder: Path) -> int:
    return int(folder.name.removeprefix("layer_"))


def _ranges(layers: Iterable[int]) -> str:
    """Layers as --layers takes them: 0-3,7."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def demo_request(
    folders: DemoFolders, threads: int | None = None, layers: tuple[int, ...] | None = None
) -> JobRequest:
    """What the demo asks of precompute. layers: those to compute; None for all that have an SAE."""
    saes = tuple(LocalSae(path) for path in demo_sae_folders(layers))
    return _request(folders, saes, threads)


def demo_plan(
    folders: DemoFolders, threads: int | None = None, layers: tuple[int, ...] | None = None
) -> RunPlan:
    """The plan that demo_request leads to, from files alone: without the checksums of what is loaded."""
    source = DemoTexts()
    saes = [_sae_plan(path) for path in demo_sae_folders(layers)]
    request = _request(folders, (), threads)
    return make_plan(
        request, saes, EMBEDDED, embedded_checksum()[:16], [DatasetPlan(source.name, source.identity())]
    )


def is_of(stored: Mapping[str, Any], plan: RunPlan) -> bool:
    """Whether a stored plan is this one, apart from what only loading tells."""
    try:
        return _same(RunPlan.from_json(stored), plan)
    except RunPlanChanged:
        return False


def _same(stored: RunPlan, plan: RunPlan) -> bool:
    """Whether a stored plan is this one; which device `auto` stands for only torch knows."""
    asked = replace(plan, device=stored.device) if plan.device == AUTO else plan
    return stored.without_checksums == asked


def holds_another_run(folders: DemoFolders, plan: RunPlan) -> bool:
    """Whether the work folder holds parts of a run of some other plan, such as an older version's."""
    path = folders.work_dir / plan.model / "plan.json"
    try:
        return not _same(RunPlan.load(path), plan)
    except FileNotFoundError:
        return False
    except DamagedPlan:
        _log.warning("%s is damaged, and the run is begun again", path)
        return True
    except RunPlanChanged:
        return True


def _request(folders: DemoFolders, saes: tuple[Any, ...], threads: int | None) -> JobRequest:
    options: dict[str, Any] = {} if threads is None else {"threads": threads}
    return JobRequest(
        model=EMBEDDED,
        saes=saes,
        dataset=(DEMO_TEXTS,),
        work_dir=folders.work_dir,
        cache_dir=folders.cache_dir,
        n_prompts=N_SEQUENCES,
        **options,
    )


def _sae_plan(folder: Path) -> SaePlan:
    facts = folder_facts(LocalSae(folder))
    config = parse_config(facts.name, facts.config)
    layer = int(config.hook_name.split(".")[1])
    return SaePlan(layer, facts.name, facts.checksum, config.processing or "raw", sae_identity(facts, config))
