"""What a worker on another machine needs of a job: paths that hold there, the run's folder, and the same libraries."""

import socket
import time
from dataclasses import replace
from pathlib import Path

from app.adapters.sae_sources import LocalSae
from app.errors import AppError
from app.precompute.loaded_run import JobSpec
from app.precompute.plan import RunPlan, library_versions
from app.precompute.work_folder import WorkFolder

_SEEN_WITHIN_S = 90.0  # NFS may show the old list of a folder's files for as long


class MachineDiffers(AppError):
    """A machine of the cluster lacks what the job needs, or has another version of it."""


def with_absolute_paths(spec: JobSpec) -> JobSpec:
    """A copy of the job for a process that works in another folder."""
    saes = (replace(sae, path=sae.path.absolute()) if isinstance(sae, LocalSae) else sae for sae in spec.saes)
    model = spec.model
    if model.identity:  # it lies in a folder
        model = replace(model, location=str(Path(model.location).absolute()))
    return replace(
        spec,
        model=model,
        saes=tuple(saes),
        folder=WorkFolder(spec.folder.root.absolute()),
        corpus_folder=spec.corpus_folder.absolute(),
    )


def check_machine(spec: JobSpec) -> None:
    """Check that this machine reaches the run's folder and has its libraries. Raises MachineDiffers."""
    host = socket.gethostname()
    try:
        same = RunPlan.load(spec.folder.plan_file).fingerprint == spec.plan.fingerprint
    except (AppError, OSError):
        same = False
    if not same:
        raise MachineDiffers(
            f"the worker on {host} does not find the run in {spec.folder.root}: all machines of the cluster must "
            "reach the work folder, the model and the SAEs by the same paths"
        )
    here = dict(library_versions())
    for name, version in spec.plan.libraries:
        if here.get(name) != version:
            raise MachineDiffers(
                f"the worker on {host} has {name} {here.get(name)}, and the run was planned with {version}: "
                "their numbers may differ"
            )


def wait_until_seen(path: Path, host: str) -> None:
    """Wait until a file that another machine wrote is visible on this one. Raises MachineDiffers."""
    deadline = time.monotonic() + _SEEN_WITHIN_S
    # A look at the folder makes a network's file system ask for its files anew.
    while not path.exists() and path not in path.parent.iterdir():
        if time.monotonic() > deadline:
            raise MachineDiffers(
                f"{host} has written {path}, which is not to be seen on {socket.gethostname()}: all machines of the "
                "cluster must reach the same work folder"
            )
        time.sleep(0.5)
